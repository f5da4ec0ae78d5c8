"""Values that would fail late are found before anything is built."""
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from cbsa_mm.engine import check_config
from cbsa_mm.engine.check_config import check_schedules
from cbsa_mm.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize('folder', [folder.name for folder in sorted(CONFIGS.glob('[!_]*/'))])
def test_shipped_configs_pass(folder):
    for path in (CONFIGS / folder).glob('*.py'):
        check_config(Config.fromfile(path))


@pytest.mark.parametrize('config, message', [
    (dict(train_cfg='x'), "train_cfg='x' should be a dict"),
    (dict(model=dict(test_cfg=dict(stride=(0, 8)))),
     r'model.test_cfg.stride=\(0, 8\) should be above 0'),
    (dict(train_dataloader=dict(dataset=dict(pipeline=[dict(crop_size=0)]))),
     r'train_dataloader.dataset.pipeline.0.crop_size=0 should be above 0'),
    (dict(optim_wrapper=dict(clip_grad=dict(max_norm='x'))),
     "optim_wrapper.clip_grad.max_norm='x' should be a number"),
    (dict(optim_wrapper=dict(optimizer=dict(lr='fast'))),
     "optim_wrapper.optimizer.lr='fast' should be a number"),
    (dict(randomness=dict(seed='abc')), "randomness.seed='abc' should be a whole number of at"),
    (dict(log_level='LOUD'), "log_level='LOUD' should be DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    (dict(train_cfg=dict(max_iters=-1)), 'train_cfg.max_iters=-1 should be a whole number of a'),
    (dict(train_cfg=dict(val_interval=0)), 'train_cfg.val_interval=0 should be a whole number of'),
])
def test_mistakes_are_named(config, message):
    with pytest.raises(UserError, match=message):
        check_config(Config(config))


@pytest.mark.parametrize('config, options, length', [
    ('cbt/cbt-t_ade20k.py', {'train_cfg.max_iters': 20}, 161729),
    ('cbt/cbt-t_camvid.py', {'train_cfg.max_iters': 20}, 900),
    ('cbt/cbt-t_in1k.py', {'train_cfg.max_epochs': 2}, 150),
    ('cbt/cbt-t_ade20k.py', {}, None),
    ('cbt/cbt-t_shapes-cls.py', {}, None),
])
def test_warns_of_a_schedule_of_another_length(config, options, length, monkeypatch):
    said = []
    module = sys.modules[check_schedules.__module__]
    monkeypatch.setattr(module, 'print_log', lambda text, *_: said.append(text))
    cfg = Config.fromfile(CONFIGS / config)
    cfg.merge_from_dict(options)
    check_schedules(cfg)
    assert len(said) == (length is not None)
    assert not length or f'param_scheduler is for {length}, so' in said[0]
