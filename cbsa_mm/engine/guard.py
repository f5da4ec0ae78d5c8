"""Handles losses and gradients that are not finite, and losses of 0."""
import math
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from cbsa_mm.errors import UserError


@HOOKS.register_module()
class NonFiniteGuardHook(Hook):
    """Skips updates with non-finite gradients, and stops the run if they continue.

    A skipped iteration changes neither weights nor buffers, such as BatchNorm's running
    statistics; a model with NaN or infinite values is never saved. Losses of 0 from the start stop
    the run, too. In float16 the loss scaler skips such updates itself while adjusting its scale, so
    only losses are checked. The same holds on PyTorch 2.1 once torch.compile was used, since
    optimizers then ignore hooks.

    A GPU is not waited for: what is wrong is undone on the device, and reported every ``interval``
    iterations. Only the first update waits, and all updates of optimizers without ``fused=True``,
    since they can't be told on the device to leave one out.

    Args:
        max_bad_steps: Number of consecutive bad iterations that stop the run.
        interval: Iterations between reports.
    """
    priority = 'ABOVE_NORMAL'  # before a moving average is updated

    def __init__(self, max_bad_steps: int = 3, interval: int = 10) -> None:
        for name, value in (('max_bad_steps', max_bad_steps), ('interval', interval)):
            if value < 1:
                raise ValueError(f'{name} must be 1 or more, got {value}')
        self.max_bad_steps, self.interval = max_bad_steps, interval
        self.left_out = None  # whether this iteration's update is, on the device
        self.unread = []  # iterations since the last report: number, loss and left_out, files
        self.zeros = 0  # iterations since the start, if all of their losses were 0
        self.row = []  # messages of the last consecutive bad iterations

    def before_train(self, runner: Runner) -> None:
        """Checks the optimizer's steps, unless a loss scaler does."""
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        if scaler is None or not scaler.is_enabled():
            runner.optim_wrapper.optimizer.register_step_pre_hook(self._check_gradients)

    def _check_gradients(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        parameters = [p for group in optimizer.param_groups for p in group['params']]
        # With an infinite limit nothing is clipped; only the norm is needed.
        self.left_out = ~clip_grad_norm_(parameters, math.inf).isfinite()
        # A fused SGD that leaves out its first step would go on with uninitialized momentum.
        if optimizer.state and all(group.get('fused') for group in optimizer.param_groups):
            optimizer.found_inf = self.left_out.float()  # as a loss scaler tells it
        elif self.left_out:
            optimizer.zero_grad(set_to_none=True)  # without gradients, a step changes nothing

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Stores the buffers, which the forward pass may make non-finite."""
        self.buffers = [buffer.clone() for buffer in runner.model.buffers()]

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Restores the buffers after a bad iteration, and reports it when due.

        Raises:
            UserError: If there were too many consecutive bad iterations, or no loss from the start.
        """
        loss = outputs['loss'].detach()
        left_out = torch.zeros_like(loss) if self.left_out is None else self.left_out
        self.left_out = None
        bad = ~loss.isfinite() | left_out.bool()
        for buffer, before in zip(runner.model.buffers(), self.buffers):
            buffer.copy_(torch.where(bad, before, buffer))
        self.unread.append(
            (runner.iter + 1, torch.stack([loss.float(), left_out.float()]), _files(data_batch)))
        if len(self.unread) == self.interval:
            self._report(runner)

    def after_train(self, runner: Runner) -> None:
        """Reports the last iterations."""
        self._report(runner)

    def _report(self, runner: Runner) -> None:
        """Reads the iterations since the last report from the device, and counts the bad ones."""
        iterations, self.unread = self.unread, []
        values = torch.stack([values for _, values, _ in iterations]).tolist() if iterations else []
        for (iteration, _, files), (loss, left_out) in zip(iterations, values):
            self.zeros = -math.inf if loss else self.zeros + 1
            if self.zeros == min(10, runner.max_iters):
                raise UserError(f'the loss was 0 in all of the first {self.zeros} iterations: are '
                                'all labels ignored? See python -m cbsa_mm check_data CONFIG')
            if math.isfinite(loss) and not left_out:
                self.row = []
                continue
            step = (f'iteration {iteration} (loss {loss:g}'
                    + (', gradients not finite' if left_out else '') + ') on ')
            runner.logger.warning(f'Not finite: {step}{", ".join(files)}')
            self.row.append(step + ', '.join(files[:4]))
            if len(self.row) == self.max_bad_steps:
                raise UserError(
                    f'losses or gradients were not finite {self.max_bad_steps} times in a row: '
                    f'{"; ".join(self.row)}. Check these files, and continue from the last '
                    'checkpoint with --resume and clipped gradients: --cfg-options '
                    'optim_wrapper.clip_grad.max_norm=1')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Checks the weights before saving.

        Raises:
            UserError: If they are not finite.
        """
        wrong = [name for name, tensor in checkpoint['state_dict'].items()
                 if not tensor.isfinite().all()]
        if wrong:
            raise UserError(
                f'{len(wrong)} tensors of the model, such as {wrong[0]}, have NaN or infinite '
                'values, so it is not saved. Continue from the last checkpoint with --resume and '
                'clipped gradients: --cfg-options optim_wrapper.clip_grad.max_norm=1')


def _files(data_batch: Any) -> list[str]:
    """The image files of a batch, as far as known from its samples."""
    samples = data_batch.get('data_samples') or [] if isinstance(data_batch, dict) else []
    return [str(getattr(sample, 'img_path', 'a sample without file name')) for sample in samples]
