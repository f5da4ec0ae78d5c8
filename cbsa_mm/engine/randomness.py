"""Random numbers that depend on the seed and where they are drawn, not on a generator state.

A resumed run is therefore exact, regardless of what its workers had prefetched.
"""
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import broadcast, get_dist_info, get_rank
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS, HOOKS
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, Sampler

from cbsa_mm.compat import SkippedBatches
from cbsa_mm.errors import UserError

SAMPLES, ITERATIONS = 0, 1  # kinds of keys


def seed_generators(*key: int, devices: bool = False) -> None:
    """Seeds Python's, NumPy's and PyTorch's generators.

    Args:
        key: Non-negative integers; different keys give independent numbers.
        devices: Whether to seed those of GPUs too, which is the slowest part.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    (torch.manual_seed if devices else torch.default_generator.manual_seed)(seed)


@dataclass
class SeededBatch:
    """A batch of indices that seeds the generators before each sample.

    PyTorch's loader iterates over it where it loads the samples, in a worker or the main process.
    """
    indices: list[int]
    keys: list[tuple[int, ...]]

    def __iter__(self) -> Iterator[int]:
        for index, key in zip(self.indices, self.keys):
            seed_generators(*key)
            yield index

    def __len__(self) -> int:
        return len(self.indices)


@DATA_SAMPLERS.register_module()
class SeededBatchSampler(BatchSampler):
    """A batch sampler that seeds each sample by seed, epoch and position in the epoch.

    Positions count over all processes, so an epoch's samples do not depend on their number. In a
    config: ``train_dataloader = dict(batch_sampler=dict(type='SeededBatchSampler'), ...)``.

    Args:
        sampler: One of mmengine's, or any with a ``seed`` that is equal in all processes.
        batch_size: Batch size.
        drop_last: Whether to drop the last batch of an epoch if it is not full.
    """

    def __init__(self, sampler: Sampler, batch_size: int, drop_last: bool = False) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self.start = None

    def start_at(self, seed: int, start: int | None = None) -> None:
        """Sets where the next iteration over the sampler starts.

        Args:
            seed: Determines the order of the samples and their random numbers.
            start: None for one epoch per iteration over it, as in epoch-based loops. Otherwise it
                continues through all epochs without end, starting at this batch.
        """
        self.start = start
        self.sampler.seed = seed
        if isinstance(self.sampler, InfiniteSampler):  # would continue where it stopped
            self.sampler = type(self.sampler)(self.sampler.dataset, self.sampler.shuffle, seed)

    def __iter__(self) -> Iterator[SeededBatch]:
        return self._epoch() if self.start is None else islice(self._epochs(), self.start, None)

    def _epochs(self) -> Iterator[SeededBatch]:
        for epoch in count():
            self.sampler.set_epoch(epoch)
            yield from self._epoch()

    def _epoch(self) -> Iterator[SeededBatch]:
        epoch = getattr(self.sampler, 'epoch', 0)  # InfiniteSampler has none
        places = count(*get_dist_info())
        for indices in super().__iter__():
            yield SeededBatch(
                indices,
                [(self.sampler.seed, SAMPLES, epoch, place) for _, place in zip(indices, places)])


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Makes a resumed run continue as if it had not been interrupted.

    mmengine restores weights, optimizer, loss scaler, schedules, log history and, if used,
    the moving average. This hook adds the rest: the data order from the current position, without
    loading seen samples, and the random numbers of every sample, both with
    :class:`SeededBatchSampler`; the random numbers of every iteration; and a validation that
    was interrupted, since its checkpoint was written before it.
    """
    priority = 'LOWEST'  # its validation needs all other hooks ready

    def before_train(self, runner: Runner) -> None:
        """Advances the data to the current iteration, and validates if due.

        Raises:
            UserError: If processes are at different iterations.
        """
        first = torch.tensor([runner.seed, runner.iter])
        broadcast(first)
        self.seed, iteration = first.tolist()  # of process 0, as seeds may differ
        if iteration != runner.iter:
            raise UserError(
                f'process {get_rank()} is at iteration {runner.iter}, process 0 at {iteration}: '
                'they must share the work dir, to continue from the same checkpoint')
        loop = runner.train_loop
        batches, by_epoch = loop.dataloader.batch_sampler, not hasattr(loop, 'dataloader_iterator')
        if not isinstance(batches, SeededBatchSampler):
            runner.logger.warning(
                'A resumed run will not see the same data as an uninterrupted one: for that, '
                "set train_dataloader.batch_sampler=dict(type='SeededBatchSampler')")
        elif by_epoch:
            batches.start_at(self.seed)
        else:
            batches.start_at(self.seed, loop.iter)
            loop.dataloader_iterator = SkippedBatches(loop.iter, iter(loop.dataloader))
        done, end = ((loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters))
        if (runner.val_loop is not None and done >= max(loop.val_begin, 1)
                and (done % loop.val_interval == 0 or done == end)):
            runner.val_loop.run()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seeds the model's own random numbers, which differ between processes."""
        seed_generators(self.seed, ITERATIONS, get_rank(), runner.iter, devices=True)
