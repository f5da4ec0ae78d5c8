"""Random numbers that follow from the seed and from where they are drawn, not from a state.

So a resumed training sees and drops what it would have, whatever its workers had prefetched.
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


@DATA_SAMPLERS.register_module()
class SeededBatchSampler(BatchSampler):
    """A batch sampler whose samples have random numbers by seed, epoch and place in the epoch.

    The place counts over all processes, so an epoch's samples do not depend on their number. In a
    config: ``train_dataloader = dict(batch_sampler=dict(type='SeededBatchSampler'), ...)``.

    Args:
        sampler: One of mmengine's, or any with a ``seed`` that is equal in all processes.
        batch_size: Samples in a batch.
        drop_last: Whether to leave out the last batch of an epoch if it is not full.
    """

    def __init__(self, sampler: Sampler, batch_size: int, drop_last: bool = False) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self.start = None

    def start_at(self, seed: int, start: int | None = None) -> None:
        """Has the next iteration over it begin anew.

        Args:
            seed: The order of the samples and their random numbers follow from it.
            start: None for one epoch per iteration over it, as epoch-based loops want. Else it
                goes from epoch to epoch without end, and starts at this batch.
        """
        self.start = start
        self.sampler.seed = seed
        if isinstance(self.sampler, InfiniteSampler):  # which goes on where it was left
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
    """Makes a resumed training go on as if it had never been interrupted.

    mmengine restores weights, optimizer, loss scaler, schedules, log history and, where hooks keep
    one, the moving average. This adds the rest: the order of the data, from where it was, without
    loading what was seen, and the random numbers of every sample, both by
    :class:`SeededBatchSampler`; the random numbers of every iteration; and the validation that a
    run ended in, as its checkpoint was written before.
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
        batches, by_epoch = loop.dataloader.batch_sampler, not hasattr(loop, 'dataloader_iterator')
        if not isinstance(batches, SeededBatchSampler):
            runner.logger.warning(
                'A resumed run will not see the data as one that was not interrupted: for that, '
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
