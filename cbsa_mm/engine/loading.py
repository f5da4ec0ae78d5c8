"""Checkpoints as data: mmengine neither runs what is in one, nor writes what must be run."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.dist import barrier, get_local_rank
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner

from cbsa_mm.checkpoints import read_checkpoint
from cbsa_mm.errors import UserError


def use_safe_loading() -> None:
    """Has mmengine, in this process, read all checkpoints by :func:`read_checkpoint`.

    By itself it falls back to plain pickle, which runs what a file says.
    """
    # register_scheme() is mmengine's documented way; each of its schemes is replaced.
    CheckpointLoader.register_scheme(list(CheckpointLoader._schemes), _load, force=True)


def _load(filename: str, map_location: Any = None) -> dict:
    """A loader by mmengine's conventions, for files and for http(s) addresses."""
    if '://' not in filename:
        return read_checkpoint(filename, map_location)
    url = urlparse(filename)
    if url.scheme not in ('http', 'https'):
        raise UserError(f'{filename} is neither a file nor an http(s) address: download it, and '
                        'give the file')
    path = Path(torch.hub.get_dir()) / 'checkpoints' / Path(url.path).name
    if get_local_rank() == 0 and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(filename, str(path))
    barrier()
    return read_checkpoint(path, map_location)


class PlainCheckpointHook(Hook):
    """Keeps training checkpoints free of all but tensors and plain values.

    mmengine puts its log history into them as objects, which ``weights_only`` loading refuses.
    They are saved as tensors instead, and restored on resuming.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replaces objects by plain values."""
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
    """The same with log histories and NumPy arrays as tensors, and NumPy numbers as numbers."""
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
