"""The learning rate schedule of the published recipes."""
import math

from mmengine.optim.scheduler import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class MinWarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Minimum of a linear warm-up and a cosine, both from step 0.

    At step t the rate is the base rate times min((t + 1) / warmup, (1 + cos(pi t / total)) / 2).

    Args:
        optimizer: Optimizer or its wrapper.
        warmup: Steps after which the warm-up alone reaches the base rate; 0 for none.
        total: Steps after which the cosine reaches zero.
        lag: Steps by which the cosine is delayed.
        kwargs: mmengine's common scheduler arguments: ``begin``, ``end``, ``last_step``,
            ``by_epoch`` (steps are epochs by default), ``verbose``.

    Raises:
        ValueError: If ``warmup`` is negative or ``total`` is not positive.
    """

    def __init__(self, optimizer, warmup: int, total: int, lag: int = 0, **kwargs) -> None:
        if warmup < 0 or total <= 0:
            raise ValueError('warmup must be at least 0 and total at least 1, got '
                             f'{warmup} and {total}')
        self.warmup = warmup
        self.total = total
        self.lag = lag
        super().__init__(optimizer, **kwargs)

    def _get_value(self) -> list[float]:
        t = self.last_step
        factor = (1 + math.cos(math.pi * (t - self.lag) / self.total)) / 2
        if self.warmup:
            factor = min((t + 1) / self.warmup, factor)
        return [base * factor for base in self.base_values]
