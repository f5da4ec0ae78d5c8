"""mmengine's Runner on checked data and checkpoints."""
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
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
            super().resume(filename, *args, **kwargs)
            wrappers = self.optim_wrapper
            for wrapper in wrappers.values() if isinstance(wrappers, dict) else [wrappers]:
                _check_optimizer(wrapper.optimizer)


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


def _check_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Checks what PyTorch would find out in the first step."""
    wrong = {name for weight, state in optimizer.state.items()
             for name in ('exp_avg', 'exp_avg_sq', 'momentum_buffer')
             if getattr(state.get(name), 'shape', weight.shape) != weight.shape}
    wrong |= {name for group in optimizer.param_groups
              for name, value in optimizer.defaults.items()
              if isinstance(value, float) and not isinstance(group[name], Real | torch.Tensor)}
    if wrong:
        raise ValueError(f'the optimizer has another {", ".join(sorted(wrong))}')
