from pathlib import Path

import pytest
import released
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
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


def test_imagenet_evaluation_gives_the_published_crops():
    images = CONFIGS.parent / 'data/imagenet/val'
    if not images.exists():
        pytest.skip('ImageNet may not be shipped: data/imagenet/val is not there')
    cfg = Config.fromfile(CONFIGS / 'cbt/cbt-t_in1k.py')
    init_default_scope('mmpretrain')
    pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    for name, crop in released.read('imagenet_eval_pixels').items():
        [path] = images.glob(f'*/{name}*')
        inputs = pipeline(dict(img_path=str(path), gt_label=0))['inputs']
        assert torch.equal(inputs.permute(1, 2, 0).flip(-1), crop), name


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
    assert [t.type for t in train] == [
        'LoadImageFromFile', 'LoadAnnotations', 'CheckSegLabels', 'RandomResize', 'RandomCrop',
        'RandomFlip', 'PhotoMetricDistortion', 'PackSegInputs']
    assert train[1].reduce_zero_label and train[3].ratio_range == (0.5, 2.0)
    assert train[4] == dict(type='RandomCrop', crop_size=(window, window), cat_max_ratio=0.75)
    assert cfg.model.backbone.interpolate_mode == 'bilinear'
    assert cfg.model.backbone.drop_path_rate == 0.1
    assert cfg.model.decode_head.loss_decode == dict(type='CrossEntropyLoss', avg_non_ignore=True)
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
    assert set(cfg.optim_wrapper) == {'type', 'optimizer'}  # weight decay on every parameter
    assert cfg.model.head.loss == dict(
        type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')
    assert cfg.data_preprocessor == dict(
        num_classes=1000, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
    crop, flip = cfg.train_dataloader.dataset.pipeline[1:3]
    assert crop == dict(
        type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bilinear')
    assert flip == dict(type='RandomFlip', prob=0.5, direction='horizontal')
    assert cfg.train_cfg.max_epochs == 150
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size == 256
