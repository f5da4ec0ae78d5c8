"""Mistakes in a config are found before anything is built, and nothing else is taken for one."""
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from cbsa_mm.backbones import CBT
from cbsa_mm.engine import check_config
from cbsa_mm.engine.check_config import check_schedules
from cbsa_mm.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'


@MODELS.register_module()
class Embracing(CBT):
    """Passes the rest on to the base class."""

    def __init__(self, width, **kwargs):
        kwargs.pop('legacy', None)
        super().__init__(
            arch=dict(embed_dims=width, num_layers=1, num_heads=1), **kwargs)


@pytest.mark.parametrize('folder', [folder.name for folder in sorted(CONFIGS.glob('[!_]*/'))
                                    if folder.name != 'detection'])
def test_shipped_configs_pass(folder):
    for path in (CONFIGS / folder).glob('*.py'):
        check_config(Config.fromfile(path))


@pytest.mark.parametrize('config', [
    dict(model=dict(type=CBT, arch='tiny')),
    dict(model=dict(type='cbsa_mm.backbones.CBT', arch='tiny')),
    dict(model=dict(type='VisionTransformer', arch='b', _scope_='mmpretrain'),
         default_scope='mmseg'),
    dict(model=dict(type='Embracing', width=8, img_size=32, legacy=True)),
    # What others than registries read.
    dict(model=dict(type='CBT', init_cfg=dict(type='MyOwn', scale=3))),
    dict(norm=dict(type='SyncBN', requires_grad=True), my_part=dict(type='Nowhere', a=1)),
    dict(model=dict(type='ImageClassifier', backbone=dict(type='CBT'), train_cfg=dict(
        augments=[dict(type='Mixup', alpha=0.2)])), default_scope='mmpretrain'),
    dict(train_dataloader=dict(dataset=dict(type='BaseSegDataset', pipeline=[
        dict(type='Albu', transforms=[dict(type='HorizontalFlip', p=0.5)]),
        dict(type='RandomChoice', transforms=[[dict(type='Resize', scale=(8, 8))], []])])),
        default_scope='mmseg'),
    dict(train_cfg=dict(by_epoch=True, max_epochs=3), val_cfg=dict(), test_cfg=None),
    dict(param_scheduler=dict(one=[dict(type='CosineAnnealingLR', T_max=3,
                                        convert_to_iter_based=True)])),
    dict(default_hooks=dict(timer=dict(type='IterTimerHook', priority='LOW'), logger=None)),
])
def test_what_is_legal_passes(config):
    check_config(Config(config))


@pytest.mark.parametrize('config, message', [
    # Types.
    (dict(model=dict(type='CTB')), r'model.type: mmengine has no CTB \(did you mean CBT\?\). '
     r'Register your own modules with custom_imports=dict\(imports=\[MODULE\]\)'),
    (dict(model=dict(type='EncoderDecoder', backbone=dict(type='ResNet51')), default_scope='mmseg'),
     'model.backbone.type: mmseg has no ResNet51 .*mean ResNet'),
    (dict(custom_hooks=[dict(type='StrictLoadingHook')]), r'custom_hooks.0.type: .*StrictLoadHook'),
    # Keys.
    (dict(model=dict(type='CBT', grid_ofset=1)),
     r'model.grid_ofset: CBT has no such argument \(did you mean grid_offset\?\). It takes arch, '),
    (dict(model=dict(type='Embracing', width=8, img_sise=8)), r'model.img_sise: .*img_size\?'),
    (dict(model=dict(type='CBT', attn_cfg=[dict(type='CBSA', grid_sise=4)])),
     r'model.attn_cfg.0.grid_sise: CBSA .*mean grid_size\?'),
    (dict(tta_pipeline=[dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scales=1)]])], default_scope='mmseg'),
     r'tta_pipeline.0.transforms.0.0.scales: Resize .*mean scale\?'),
    (dict(optim_wrapper=dict(optimizer=dict(type='AdamW', wd=1))), r'optimizer.wd: AdamW has no'),
    (dict(param_scheduler=[dict(type='PolyLR', poewr=1)]), r'param_scheduler.0.poewr: .*power\?'),
    # Values.
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
    with pytest.raises(UserError, match=message) as error:
        check_config(Config(config))
    assert len(str(error.value).splitlines()) == 1


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
