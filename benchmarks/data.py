"""The part ``data``: processor time of the training pipelines."""
import time
from argparse import Namespace
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from cbsa_mm.errors import UserError

from .timing import summarize

BASES = Path(__file__).parents[1] / 'configs/_base_/datasets'


def data(args: Namespace) -> dict:
    """Training pipelines of ADE20K and ImageNet on the files at hand, and their usual forms.

    Times are those of the processor in all threads, which other programs lengthen less than those
    of the clock. Each image goes through both forms in turn, with the same random numbers.
    """
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)  # as in a loader's workers
    cv2.setNumThreads(0)
    try:
        return {name: _compare(pipelines, _samples(root, pattern), args.repeats)
                for name, pipelines, root, pattern in (_ade20k(), _imagenet())}
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def _ade20k() -> tuple:
    init_default_scope('mmseg')
    cfg = Config.fromfile(BASES / 'ade20k.py')
    usual = [dict(step, type=step.type.removeprefix('Fast')) for step in cfg.train_pipeline]
    usual[1].pop('imdecode_backend')
    pipelines = dict(mmseg=Compose(usual), ours=Compose(cfg.train_pipeline))
    return 'ADE20K', pipelines, cfg.train_dataloader.dataset.data_root, 'images/*/*.jpg'


def _imagenet() -> tuple:
    init_default_scope('mmpretrain')
    usual, fast = (Config.fromfile(BASES / f'{name}.py') for name in ('imagenet', 'imagenet-fast'))
    exact = [dict(fast.train_pipeline[0], scaled_decoding=False), *fast.train_pipeline[1:]]
    pipelines = dict(mmpretrain=Compose(usual.train_pipeline), equal=Compose(exact),
                     fast=Compose(fast.train_pipeline))
    return 'ImageNet', pipelines, usual.train_dataloader.dataset.data_root, 'val/*/*.JPEG'


def _samples(root: str, pattern: str) -> list[dict]:
    """What data sets give to their pipelines, for up to 200 images."""
    files = sorted(Path(root).glob(pattern))[:200]
    if not files:
        raise UserError(f'there are no images {Path(root, pattern)}: the part data needs some')
    return [dict(
        img_path=str(file), gt_label=0, reduce_zero_label=True, seg_fields=[],
        seg_map_path=str(file).replace('/images/', '/annotations/').replace('.jpg', '.png'))
        for file in files]


def _compare(pipelines: dict[str, Compose], samples: list[dict], repeats: int) -> dict:
    seconds = {name: [] for name in pipelines}
    count = max(repeats * 20, len(samples))
    for seed, sample in enumerate(islice(cycle(samples), count)):
        for name, pipeline in pipelines.items():
            np.random.seed(seed)
            start = time.process_time()
            pipeline(dict(sample, seg_fields=[]))
            seconds[name].append(time.process_time() - start)
    return {name: result | dict(rate=count / sum(seconds[name]))
            for name, result in summarize(seconds).items()}
