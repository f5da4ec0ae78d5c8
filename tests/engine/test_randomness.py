"""Random numbers by seed and place."""
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, Dataset

from cbsa_mm.engine import SeededBatchSampler


class Draws(Dataset):
    """Each sample is its index and what the three generators draw."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def draw(sampler, batch_size=2, num_workers=0, num_batches=None, **start):
    batches = SeededBatchSampler(sampler, batch_size)
    loader = DataLoader(Draws(), batch_sampler=batches, num_workers=num_workers, collate_fn=list)
    if start:
        next(iter(loader))  # as an older mmengine has when a training is resumed
        batches.start_at(**start)
    loader = iter(loader)
    return [next(loader) for _ in range(num_batches or len(batches))]


def test_workers_do_not_matter():
    alone = draw(DefaultSampler(Draws(), seed=0))
    assert draw(DefaultSampler(Draws(), seed=0), num_workers=3) == alone
    numbers = [sample[1:] for batch in alone for sample in batch]
    assert len({*numbers}) == 10 and len({*sum(numbers, ())}) == 30
    assert draw(DefaultSampler(Draws(), seed=1), seed=0) == alone
    assert draw(DefaultSampler(Draws(), seed=0), seed=1) != alone


def test_epochs_differ():
    sampler = DefaultSampler(Draws(), seed=0, shuffle=False)
    first = draw(sampler)
    sampler.set_epoch(1)
    for one, other in zip(sum(first, []), sum(draw(sampler), [])):
        assert one[0] == other[0] and one[1] != other[1]


def test_processes_do_not_matter(monkeypatch):
    alone = draw(DefaultSampler(Draws(), seed=0), batch_size=4)
    ranks = []
    for rank in (0, 1):
        for module in ('cbsa_mm.engine.randomness', 'mmengine.dataset.sampler'):
            monkeypatch.setattr(f'{module}.get_dist_info', lambda: (rank, 2))  # noqa: B023
        ranks.append(draw(DefaultSampler(Draws(), seed=0)))
    for both, first, second in zip(alone, *ranks):
        assert sorted(both) == sorted(first + second)


@pytest.mark.parametrize('kind', [DefaultSampler, InfiniteSampler])
@pytest.mark.parametrize('num_workers', [0, 2])
def test_starts_anywhere(kind, num_workers):
    """With an incomplete batch at each epoch's end, and with none."""
    whole = draw(kind(Draws(), seed=0), batch_size=4, seed=0, start=0, num_batches=9)
    rest = draw(kind(Draws(), seed=1), batch_size=4, seed=0, start=5, num_batches=4,
                num_workers=num_workers)
    assert rest == whole[5:]
    assert [len(batch) for batch in whole[:3]] == [4, 4, 2 if kind is DefaultSampler else 4]
