"""A hook that writes down what each process of a training sees and reaches."""
import hashlib
import json
import os
import signal
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Recorder(Hook):
    """Appends a line per iteration and validation to ``rank<r>.jsonl`` in the work dir."""

    def before_train(self, runner):
        self.file = open(Path(runner.work_dir, f'rank{get_rank()}.jsonl'), 'a')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        images = data_batch['inputs']
        self._write(
            iter=runner.iter + 1,
            lr=runner.optim_wrapper.get_lr()['lr'],
            loss=outputs['loss'].item().hex(),
            draw=torch.rand(()).item(),  # what dropout would draw next
            files=[sample.img_path for sample in data_batch['data_samples']],
            pixels=[hashlib.sha1(image.numpy().tobytes()).hexdigest()[:12] for image in images])

    def after_val_epoch(self, runner, metrics=None):
        self._write(iter=runner.iter, metrics={key: float(value) for key, value in metrics.items()})

    def _write(self, **values):
        self.file.write(json.dumps(values) + '\n')
        self.file.flush()


@HOOKS.register_module()
class Crash(Hook):
    """Kills a process of a given rank before a given iteration, once for each of the ``places``."""

    def __init__(self, places):
        self.places = [tuple(place) for place in places]

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        flag = Path(runner.work_dir, f'crashed{runner.iter + 1}')
        if (runner.iter + 1, get_rank()) in self.places and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
