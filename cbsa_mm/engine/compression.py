"""Logs the compression of tokens during training."""
from contextlib import ExitStack

import torch
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from cbsa_mm.interpret import Recorder


@HOOKS.register_module()
class CompressionHook(Hook):
    """Logs coding rates and sparsity, layer by layer, to the visualizer's backends.

    The scalars are means over the images of a training batch: ``compression/<layer>/tokens``
    and ``.../tokens_after`` the attention, ``.../representatives`` and
    ``.../representatives_after`` their contraction (coding rates in nats, arXiv 2509.16875v3,
    section 5), and ``.../sparsity``, the fraction of zeros in the output of ISTA or
    the codes of ODL.

    Args:
        interval: Logging interval in iterations.
        normalize: Whether to scale tokens to unit length first.
    """

    def __init__(self, interval: int = 100, normalize: bool = False) -> None:
        self.interval, self.normalize = interval, normalize
        self._recording = ExitStack()
        self._recorder = None

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: DATA_BATCH = None) -> None:
        """Starts recording, if this iteration is to be logged."""
        if (runner.iter + 1) % self.interval == 0:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            self._recorder = self._recording.enter_context(Recorder(model))

    @torch.no_grad()
    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None,
                         outputs: dict | None = None) -> None:
        """Computes and logs the measures."""
        if self._recorder is None:
            return
        self._recording.close()
        scalars = {}
        for layer in self._recorder.layers:
            if layer.x is None:  # not used in this pass
                continue
            values = layer.coding_rates(self.normalize)
            if layer.sparse is not None:
                values['sparsity'] = layer.sparsity()
            scalars |= {f'compression/{layer.name}/{name}': value.mean().item()
                        for name, value in values.items()}
        runner.visualizer.add_scalars(scalars, step=runner.iter + 1)
        self._recorder = None
