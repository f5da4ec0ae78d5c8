"""The learning rates that the optimizer gets, over the whole of a shipped config's training."""
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

import cbsa_mm  # noqa: F401

CONFIGS = Path(__file__).parents[2] / 'configs'
pytestmark = pytest.mark.filterwarnings('ignore:Detected call', 'ignore:The epoch parameter')


def rates(config, steps):
    """The learning rate at each step of a schedule: epoch or iteration."""
    cfg = Config.fromfile(CONFIGS / config)
    wrapper = build_optim_wrapper(torch.nn.Linear(1, 1, bias=False), cfg.optim_wrapper)
    schedule = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler, optimizer=wrapper))
    found = []
    for _ in range(steps):
        found += schedule.get_last_value()
        schedule.step()
    assert len(found) == steps
    return found


def test_imagenet_schedule_at_every_epoch():
    published = [2e-4 * min((e + 1) / 20, (1 + math.cos(math.pi * e / 150)) / 2)
                 for e in range(150)]
    np.testing.assert_allclose(rates('cbt/cbt-s_in1k.py', 150), published, rtol=1e-12)


def test_fine_tuning_schedule_is_that_of_the_released_loop():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=5e-5)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    published = []
    for epoch in range(400):
        published.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step(epoch - 1)
    np.testing.assert_allclose(rates('finetune/cbt-s_pets.py', 400), published, rtol=1e-12)


def test_ade20k_schedule_at_every_iteration():
    T = 161728
    published = (1e-3 - 1e-5) * (1 - np.arange(T) / T)**0.9 + 1e-5
    np.testing.assert_allclose(rates('cbt/cbt-s_ade20k.py', T), published, rtol=1e-9)
