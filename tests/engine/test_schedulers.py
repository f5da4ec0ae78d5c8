"""The learning rates that the optimizer really gets."""
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

import cbsa_mm  # noqa: F401
from cbsa_mm.engine import MinWarmupCosineLR

CONFIGS = Path(__file__).parents[2] / 'configs/cbt'


def rates(config, steps):
    """Learning rates of a shipped config's schedule, before steps 0, 1, ..."""
    cfg = Config.fromfile(CONFIGS / config)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=cfg.optim_wrapper.optimizer.lr)
    scheduler = PARAM_SCHEDULERS.build(cfg.param_scheduler, default_args=dict(optimizer=optimizer))
    for _ in range(steps):
        yield optimizer.param_groups[0]['lr']
        optimizer.step()
        scheduler.step()


def test_imagenet_schedule_at_every_epoch():
    for e, rate in enumerate(rates('cbt-s_in1k.py', 150)):
        published = 2e-4 * min((e + 1) / 20, (1 + math.cos(math.pi * e / 150)) / 2)
        assert rate == pytest.approx(published, rel=1e-12)


def test_ade20k_schedule_at_every_iteration():
    T = 161728
    for t, rate in enumerate(rates('cbt-s_ade20k.py', T)):
        published = (1e-3 - 1e-5) * (1 - t / T)**0.9 + 1e-5
        assert rate == pytest.approx(published, rel=1e-9), t


@pytest.mark.parametrize('kwargs', [dict(warmup=0, total=10), dict(warmup=5, total=-1)])
def test_refuses_lengths_below_one(kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match='warmup and total must be positive'):
        MinWarmupCosineLR(optimizer, **kwargs)
