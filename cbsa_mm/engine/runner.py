"""mmengine's Runner on checked data."""
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from cbsa_mm.datasets import guard_dataset


class CheckedRunner(Runner):
    """mmengine's Runner; an unreadable image or label map ends it with an error that names it."""

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict,
                         seed: int | None = None,
                         diff_rank_seed: bool = False) -> DataLoader:
        """Builds a data loader, as the base class does."""
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        guard_dataset(loader.dataset)
        return loader
