"""Random numbers that follow from the seed and from where they are drawn, not from a state.

So a resumed training sees and drops what it would have, whatever its workers had prefetched.
"""
import random
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import broadcast, get_dist_info, get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader

from cbsa_mm.compat import SkippingIterator
from cbsa_mm.errors import UserError

SAMPLES, ITERATIONS = 0, 1  # what a key is for


def seed_generators(*key: int, devices: bool = False) -> None:
    """Seeds Python's, NumPy's and PyTorch's generators.

    Args:
        key: Integers from 0; different keys give unrelated numbers.
        devices: Whether to seed those of GPUs too, which takes longer than all others.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    (torch.manual_seed if devices else torch.default_generator.manual_seed)(seed)


@dataclass
class SeededBatch:
    """A batch of indices that seeds the generators before each of them is used.

    PyTorch's loader iterates over it where it loads the samples, in a worker or not.
    """
    indices: list[int]
    keys: list[tuple[int, ...]]

    def __iter__(self) -> Iterator[int]:
        for index, key in zip(self.indices, self.keys):
            seed_generators(*key)
            yield index

    def __len__(self) -> int:
        return len(self.indices)


class SeededBatches:
    """A batch sampler whose samples have random numbers by seed, epoch and place in the epoch.

    The place counts over all processes, so that an epoch's samples do not depend on their number.

    Args:
        batches: The batches of indices of this process.
        seed: Equal in all processes.
        start: None for one epoch per iteration over it, as epoch-based loops want. Else it never
            ends, and starts at this batch.
    """

    def __init__(self, batches: BatchSampler, seed: int, start: int | None = None) -> None:
        self.sampler = batches.sampler  # for DistSamplerSeedHook, which tells it the epoch
        self.batch_size = batches.batch_size
        self.batches = batches
        self.seed = seed
        self.start = start

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[SeededBatch]:
        return self._epoch() if self.start is None else islice(self._epochs(), self.start, None)

    def _epochs(self) -> Iterator[SeededBatch]:
        for epoch in count():
            self.sampler.set_epoch(epoch)
            yield from self._epoch()

    def _epoch(self) -> Iterator[SeededBatch]:
        epoch = getattr(self.sampler, 'epoch', 0)  # InfiniteSampler has none
        places = count(*get_dist_info())
        for indices in self.batches:
            yield SeededBatch(
                indices, [(self.seed, SAMPLES, epoch, place) for _, place in zip(indices, places)])


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Makes a resumed training go on as if it had never been interrupted.

    mmengine restores weights, optimizer, loss scaler, schedules, log history and, where hooks keep
    one, the moving average. This adds the rest: the order of the data, from where it was, without
    loading what was seen; the random numbers of every sample and every iteration; and the
    validation that a run ended in, as its checkpoint was written before.
    """
    priority = 'LOWEST'  # its validation wants all other hooks ready

    def before_train(self, runner: Runner) -> None:
        """Brings the data to where the training is, and validates if that is due.

        Raises:
            UserError: If processes are at different iterations.
        """
        first = torch.tensor([runner.seed, runner.iter])
        broadcast(first)
        self.seed, iteration = first.tolist()  # of process 0, where each has a seed of its own
        if iteration != runner.iter:
            raise UserError(
                f'process {get_rank()} is at iteration {runner.iter}, process 0 at {iteration}: '
                'all of them must see the same work dir, to go on from the same checkpoint')
        loop = runner.train_loop
        batches = _rewind(loop.dataloader.batch_sampler, self.seed)
        if hasattr(loop, 'dataloader_iterator'):  # iterations count, not epochs
            loop.dataloader = _with_batches(
                loop.dataloader, SeededBatches(batches, self.seed, loop.iter))
            loop.dataloader_iterator = SkippingIterator(iter(loop.dataloader), loop.iter)
            done, end = loop.iter, loop.max_iters
        else:
            loop.dataloader = _with_batches(loop.dataloader, SeededBatches(batches, self.seed))
            done, end = loop.epoch, loop.max_epochs
        if (runner.val_loop is not None and done >= max(loop.val_begin, 1)
                and (done % loop.val_interval == 0 or done == end)):
            runner.val_loop.run()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seeds the model's own random numbers, which differ between processes."""
        seed_generators(self.seed, ITERATIONS, get_rank(), runner.iter, devices=True)


def _rewind(batches: BatchSampler, seed: int) -> BatchSampler:
    """The batches of indices from their start; an older mmengine has begun to draw from it."""
    if [*signature(type(batches)).parameters] != [*signature(BatchSampler).parameters]:
        raise UserError(f'ExactResumeHook can\'t go back to the start of a '
                        f'{type(batches).__name__}: leave batch_sampler out of train_dataloader, '
                        'or the hook out of custom_hooks')
    sampler = batches.sampler
    if isinstance(sampler, InfiniteSampler):
        sampler = type(sampler)(sampler.dataset, sampler.shuffle, seed)
    else:
        sampler.seed = seed  # a resumed run's, unknown when the sampler was built
    return type(batches)(sampler, batches.batch_size, batches.drop_last)


def _with_batches(loader: DataLoader, batches: SeededBatches) -> DataLoader:
    """The loader with another batch sampler, which PyTorch does not allow to exchange."""
    names = ('num_workers', 'collate_fn', 'pin_memory', 'timeout', 'worker_init_fn',
             'multiprocessing_context', 'generator', 'prefetch_factor', 'persistent_workers')
    return DataLoader(loader.dataset, batch_sampler=batches,
                      **{name: getattr(loader, name) for name in names})
