"""Training checkpoints that contain only data."""
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Restricts training checkpoints to tensors and plain values.

    mmengine stores its log history as objects, which ``weights_only`` loading rejects.
    They are saved as tensors instead, and restored on resuming.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replaces objects with plain values."""
        for key in ('meta', 'message_hub', 'param_schedulers'):
            if key in checkpoint:
                checkpoint[key] = _plain(checkpoint[key])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restores the log history."""
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, value in scalars.items():
            if isinstance(value, dict):
                scalars[name] = HistoryBuffer(
                    value['log_history'].cpu().numpy(), value['count_history'].cpu().numpy())


def _plain(value: Any) -> Any:
    """Converts log histories and NumPy arrays to tensors, and NumPy scalars to numbers."""
    if isinstance(value, HistoryBuffer):
        log_history, count_history = value.data
        return dict(log_history=_plain(log_history), count_history=_plain(count_history))
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value
