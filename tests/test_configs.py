from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

import cbsa_mm  # noqa: F401

CONFIGS = Path(__file__).parents[1] / 'configs'
EXPERIMENTS = sorted(CONFIGS.glob('cbt/*.py'))


@pytest.mark.parametrize('path', EXPERIMENTS, ids=lambda path: path.stem)
def test_builds_and_says_how_to_run_it(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    assert MODELS.build(cfg.model) is not None
    header = path.read_text().split('_base_')[0]
    assert f'configs/cbt/{path.name}' in header


@pytest.mark.parametrize('size, layers, window', [('t', 3, 512), ('s', 3, 512), ('b', 6, 512),
                                                  ('l', 9, 640)])
def test_ade20k_recipe(size, layers, window):
    cfg = Config.fromfile(CONFIGS / f'cbt/cbt-{size}_ade20k.py')
    assert cfg.model.decode_head.num_layers == layers
    assert cfg.model.test_cfg == dict(
        mode='slide', crop_size=(window, window), stride=(window - 32, window - 32))
    assert cfg.model.backbone.img_size == cfg.model.data_preprocessor.size == (window, window)
    train, test = (cfg[f'{split}_dataloader'].dataset.pipeline for split in ('train', 'test'))
    assert train[3].scale == test[1].scale == (4 * window, window)
    assert train[4] == dict(type='RandomCrop', crop_size=(window, window), cat_max_ratio=0.75)
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=1e-3, momentum=0.9, nesterov=True, weight_decay=0.)
    assert cfg.train_cfg.max_iters == 161728
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size == 8
    scales = [t.scale for t in cfg.tta_pipeline[1].transforms[0]]
    assert scales == [(int(4 * window * r), int(window * r)) for r in
                      (0.5, 0.75, 1, 1.25, 1.5, 1.75)]


@pytest.mark.parametrize('size, arch', [('t', 'tiny'), ('s', 'small'), ('b', 'base'),
                                        ('l', 'large')])
def test_imagenet_recipe(size, arch):
    cfg = Config.fromfile(CONFIGS / f'cbt/cbt-{size}_in1k.py')
    assert cfg.model.backbone.arch == arch
    assert cfg.optim_wrapper.optimizer == dict(
        type='Lion', lr=2e-4, betas=(0.9, 0.99), weight_decay=0.05)
    assert 'clip_grad' not in cfg.optim_wrapper
    assert cfg.train_cfg.max_epochs == 150
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size == 256
