"""The learning rates that the optimizer really gets."""
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner

import cbsa_mm  # noqa: F401
from cbsa_mm.engine import MinWarmupCosineLR

CONFIGS = Path(__file__).parents[2] / 'configs'


class OneWeight(BaseModel):
    """The least model that a Runner trains."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, mode):
        return dict(loss=self.weight.sum())


class Recorder(Hook):
    """Keeps the learning rates of the Runner's optimizer at each iteration."""

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append([group['lr'] for group in runner.optim_wrapper.optimizer.param_groups])


def rates(config, images, folder):
    """The learning rate at each iteration of a shipped config's whole training, run as such."""
    cfg = Config.fromfile(CONFIGS / config)
    recorder = Recorder()
    Runner(
        OneWeight(), str(folder), default_scope='mmengine', experiment_name=folder.name,
        train_dataloader=dict(
            batch_size=1, num_workers=0, dataset=[dict(inputs=torch.zeros(1))] * images,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=cfg.train_cfg, optim_wrapper=cfg.optim_wrapper,
        param_scheduler=cfg.param_scheduler, log_level='ERROR', custom_hooks=[recorder],
        default_hooks=dict(logger=None, checkpoint=None, timer=None, runtime_info=None)).train()
    assert all(len(groups) == 1 for groups in recorder.rates)
    return [rate for [rate] in recorder.rates]


def test_imagenet_schedule_at_every_epoch(tmp_path):
    found = rates('cbt/cbt-s_in1k.py', 2, tmp_path)
    assert len(found) == 2 * 150
    for i, rate in enumerate(found):
        e = i // 2
        published = 2e-4 * min((e + 1) / 20, (1 + math.cos(math.pi * e / 150)) / 2)
        assert rate == pytest.approx(published, rel=1e-12), e


@pytest.mark.filterwarnings('ignore:The epoch parameter')
def test_fine_tuning_schedule_is_that_of_the_released_loop(tmp_path):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=5e-5)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    published = []
    for epoch in range(400):
        published.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step(epoch - 1)
    assert rates('finetune/cbt-s_pets.py', 1, tmp_path) == pytest.approx(published, rel=1e-12)


def test_ade20k_schedule_at_every_iteration():
    cfg, T = Config.fromfile(CONFIGS / 'cbt/cbt-s_ade20k.py'), 161728
    wrapper = build_optim_wrapper(OneWeight(), cfg.optim_wrapper)
    schedule = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler, optimizer=wrapper))
    found = []
    for _ in range(T):
        found += schedule.get_last_value()
        schedule.step()
    published = (1e-3 - 1e-5) * (1 - np.arange(T) / T)**0.9 + 1e-5
    np.testing.assert_allclose(found, published, rtol=1e-9)


@pytest.mark.parametrize('kwargs', [dict(warmup=-1, total=10), dict(warmup=5, total=0)])
def test_refuses_lengths_out_of_range(kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match='warmup must be at least 0 and total at least 1'):
        MinWarmupCosineLR(optimizer, **kwargs)
