"""mmengine's Runner on checked data and checkpoints."""
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any
from urllib.error import URLError

import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from cbsa_mm.datasets import guard_dataset
from cbsa_mm.errors import UserError


class CheckedRunner(Runner):
    """mmengine's Runner, whose errors name the image, the label map or the checkpoint at fault."""

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict,
                         seed: int | None = None,
                         diff_rank_seed: bool = False) -> DataLoader:
        """Builds a data loader, as the base class does."""
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        guard_dataset(loader.dataset)
        return loader

    def load_checkpoint(self, filename: str, *args, **kwargs) -> dict:
        """Loads weights.

        Raises:
            UserError: If anything in the checkpoint is not as mmengine expects it.
        """
        with _blame(filename, 'loaded'):
            return super().load_checkpoint(filename, *args, **kwargs)

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Loads weights and the state of training.

        Raises:
            UserError: If anything in the checkpoint is missing, or not as mmengine expects it.
        """
        with _blame(filename, 'resumed'):
            expected = self._counters()
            super().resume(filename, *args, **kwargs)
            resumed_keys = self.message_hub.state_dict()['resumed_keys']
            if not (_alike(self._counters(), expected)
                    and all(isinstance(value, bool) for value in resumed_keys.values())):
                raise ValueError('its counters or schedules are of other types')
            wrappers = self.optim_wrapper
            for wrapper in wrappers.values() if isinstance(wrappers, dict) else [wrappers]:
                _try_step(wrapper.optimizer)

    def _counters(self) -> list:
        schedulers = self.param_schedulers or []
        groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
        return [self.epoch, self.iter, *[s.state_dict() for group in groups for s in group]]


@contextmanager
def _blame(filename: str, done: str) -> Iterator[None]:
    try:
        yield
    except (UserError, URLError):
        raise
    except Exception as error:
        raise UserError(f"{filename} can't be {done}: it is no whole checkpoint of such a training "
                        f'({type(error).__name__}: {error}). To start anew from its weights, give '
                        'it as load_from') from error


def _alike(given: Any, expected: Any) -> bool:
    """Whether values are of the same types, and none is missing."""
    if isinstance(expected, dict):
        return all(key in given and _alike(given[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(given) == len(expected) and all(map(_alike, given, expected))
    kind = Real if isinstance(expected, float) else type(expected)
    return expected is None or isinstance(given, kind)


def _try_step(optimizer: torch.optim.Optimizer) -> None:
    """Takes a step with a copy, in which PyTorch notices what it did not while loading."""
    try:
        optimizer = copy.deepcopy(optimizer)
    except Exception:  # one whose state is spread over processes
        return
    for group in optimizer.param_groups:
        for weight in group['params']:
            weight.grad = torch.zeros_like(weight)
    optimizer.step()
