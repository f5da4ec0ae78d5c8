"""Mistakes in a config are found before anything is built, and nothing else is taken for one."""
from functools import partial
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, Registry

from cbsa_mm.backbones import CBT
from cbsa_mm.engine import check_config
from cbsa_mm.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'


@MODELS.register_module()
class Embracing(CBT):
    """Passes the rest on to the base class."""

    def __init__(self, width, **kwargs):
        kwargs.pop('legacy', None)
        super().__init__(
            arch=dict(embed_dims=width, num_layers=1, num_heads=1), **kwargs)


@MODELS.register_module()
class Wrapping(CBT):
    """Passes the rest on to whom it likes."""

    def __init__(self, model_name, pretrained=False, **kwargs):
        super().__init__()
        self.inner = CBT(**kwargs)


@MODELS.register_module()
def small_cbt(width=8, **kwargs) -> CBT:
    return CBT(dict(embed_dims=width, num_layers=1, num_heads=1), **kwargs)


MODELS.register_module(name='partial_cbt', module=partial(CBT, 'tiny'))


@DATASETS.register_module()
class Numbers(BaseDataset):
    pass


@TRANSFORMS.register_module()
class Blur:
    def __init__(self, radius):
        self.radius = radius


@pytest.mark.parametrize('folder', [folder.name for folder in sorted(CONFIGS.glob('[!_]*/'))
                                    if folder.name != 'detection'])
def test_shipped_configs_pass(folder):
    for path in (CONFIGS / folder).glob('*.py'):
        check_config(Config.fromfile(path))


@pytest.mark.parametrize('config', [
    dict(model=dict(type=CBT, arch='tiny')),
    dict(model=dict(type='cbsa_mm.backbones.CBT', arch='tiny')),
    dict(model=dict(type='mmengine.CBT', arch='tiny')),
    dict(model=dict(type='mmpretrain.VisionTransformer', arch='b'), default_scope='mmseg'),
    dict(model=dict(type='VisionTransformer', arch='b', _scope_='mmpretrain'),
         default_scope='mmseg'),
    # Arguments that go further.
    dict(model=dict(type='Embracing', width=8, img_size=32, legacy=True)),
    dict(model=dict(type='Wrapping', model_name='x', arch='tiny', pretrained_cfg=None)),
    dict(model=dict(type=small_cbt, img_size=32)),
    dict(model=dict(type='partial_cbt', img_size=32)),
    # What others than registries read.
    dict(model=dict(type='CBT', init_cfg=dict(type='MyOwn', scale=3))),
    dict(norm=dict(type='SyncBN', requires_grad=True), my_part=dict(type='Nowhere', a=1)),
    dict(model=dict(type='ImageClassifier', backbone=dict(type='CBT'), train_cfg=dict(
        augments=[dict(type='Mixup', alpha=0.2)])), default_scope='mmpretrain'),
    # Data.
    dict(train_dataloader=dict(
        batch_size=2, num_batch_per_epoch=5, collate_fn=dict(type='any_function'),
        dataset=dict(type='ConcatDataset', datasets=[
            dict(type='Numbers', lazy_init=True, pipeline=[dict(type='Blur', radius=1)]),
            dict(type=Numbers, pipeline=[Blur(2), dict(type=Blur, radius=1)])]))),
    dict(train_dataloader=dict(dataset=dict(type='BaseSegDataset', pipeline=[
        dict(type='Albu', transforms=[dict(type='HorizontalFlip', p=0.5)]),
        dict(type='RandomChoice', transforms=[[dict(type='Blur', radius=1)], []])])),
        default_scope='mmseg'),
    # The rest of a run.
    dict(test_evaluator=dict(type='Evaluator', metrics=[
        dict(type='DumpResults', out_file_path='a.pkl')])),
    dict(train_cfg=dict(by_epoch=True, max_epochs=3), val_cfg=dict(), test_cfg=None),
    dict(optim_wrapper=dict(
        type='AmpOptimWrapper', dtype='bfloat16', accumulative_counts=2,
        optimizer=dict(type='AdamW', lr=1., weight_decay=0.), paramwise_cfg=dict(custom_keys={}))),
    dict(optim_wrapper=dict(constructor='DefaultOptimWrapperConstructor', one=dict(lr=1),
                            optimizer=dict(type='SGD', lr=1.))),
    dict(param_scheduler=dict(one=[dict(type='CosineAnnealingLR', T_max=3,
                                        convert_to_iter_based=True)])),
    dict(default_hooks=dict(timer=dict(type='IterTimerHook', priority='LOW'), logger=None)),
    dict(vis_backends=[dict(type='TensorboardVisBackend')], log_processor=dict(by_epoch=False)),
])
def test_what_is_legal_passes(config):
    check_config(Config(config))


def test_parts_of_a_registry_of_ones_own_pass():
    """A new scope, and a registry that is not mmengine's child."""
    models = Registry('model', scope='check_config_test', parent=MODELS)

    @models.register_module()
    class Mine:
        def __init__(self, part):
            self.part = part

    check_config(Config(dict(model=dict(
        type='check_config_test.Mine', part=dict(type='OnlyThere', a=1)))))


def data(dataset):
    return dict(train_dataloader=dict(dataset=dataset))


@pytest.mark.parametrize('config, message', [
    (dict(optim_wrapper=dict(clip_grad=dict(max_norm='x'))),
     "optim_wrapper.clip_grad.max_norm='x' should be a number"),
    # Sizes of 0.
    (dict(model=dict(type='EncoderDecoder', test_cfg=dict(stride=(0, 8))), default_scope='mmseg'),
     r'model.test_cfg.stride=\(0, 8\) should be above 0'),
    # Text for numbers, also of base classes, and for dicts.
    (dict(train_cfg='x'), "train_cfg='x' should be a dict"),
    (dict(optim_wrapper=dict(optimizer=dict(type='AdamW', lr='fast'))),
     "optim_wrapper.optimizer.lr='fast' should be a number, such as 0.001"),
    (dict(model=dict(type='PlainViT', drop_path_rate='x')), "model.drop_path_rate='x' should be a"),
    # Keys.
    (dict(model=dict(type='CBT', grid_ofset=1)),
     r'model.grid_ofset: CBT has no such argument \(did you mean grid_offset\?\). It takes arch, '),
    (dict(model=dict(type=CBT, colour='red')), 'model.colour: CBT has no such argument. It takes'),
    (dict(model=dict(type='EncoderDecoder', decode_head=dict(
        type='FCNHead', loss_decode=[dict(type='CrossEntropyLoss', loss_wight=1)])),
        default_scope='mmseg'),
     r'model.decode_head.loss_decode.0.loss_wight: CrossEntropyLoss .*mean loss_weight\?'),
    (dict(model=dict(type='Embracing', width=8, img_sise=8)), r'model.img_sise: .*img_size\?'),
    (dict(model=dict(type='Wrapping', model_nam='x')), r'model.model_nam: .*mean model_name\?'),
    (dict(model=dict(type='small_cbt', img_sise=8)), r'model.img_sise: small_cbt .*img_size\?'),
    (dict(model=dict(type='CBT', attn_cfg=[dict(type='CBSA', grid_sise=4)])),
     r'model.attn_cfg.0.grid_sise: CBSA .*mean grid_size\?'),
    (dict(model=dict(type='CBT', attn_cfg=dict(type='MSSA', conv=3))),
     r'model.attn_cfg.conv: MSSA has no such argument'),
    (dict(tta_model=dict(type='SegTTAModel', modul=1), default_scope='mmseg'), 'mean module'),
    (dict(train_dataloader=dict(bach_size=3)),
     r'train_dataloader.bach_size: DataLoader .*mean batch_size\?'),
    (dict(val_dataloader=dict(sampler=dict(type='DefaultSampler', shufle=True))),
     r'val_dataloader.sampler.shufle: DefaultSampler .*mean shuffle\?'),
    (data(dict(type='RepeatDataset', times=2, dataset=dict(type='Numbers', pipline=[]))),
     r'train_dataloader.dataset.dataset.pipline: .*pipeline\?'),
    (data(dict(type='ConcatDataset', datasets=[
        dict(type='Numbers', pipeline=[dict(type='Blur', radios=1)])])),
     r'train_dataloader.dataset.datasets.0.pipeline.0.radios: Blur .*mean radius\?'),
    (dict(tta_pipeline=[dict(type='TestTimeAug', transforms=[[dict(type='Blur', radios=1)]])]),
     r'tta_pipeline.0.transforms.0.0.radios: Blur'),
    (dict(val_evaluator=[dict(type='DumpResults', out_file='a')]),
     r'val_evaluator.0.out_file: .*mean out_file_path\?'),
    (dict(train_cfg=dict(type='IterBasedTrainLoop', max_iter=3)), r'train_cfg.max_iter: .*iters'),
    (dict(optim_wrapper=dict(clip_gard=dict(max_norm=1))), r'optim_wrapper.clip_gard: .*clip_grad'),
    (dict(optim_wrapper=dict(optimizer=dict(type='AdamW', wd=1))), r'optimizer.wd: AdamW has no'),
    (dict(param_scheduler=[dict(type='PolyLR', poewr=1)]), r'param_scheduler.0.poewr: .*power\?'),
    (dict(custom_hooks=[dict(type='StrictLoadHook', strict=True)]),
     'custom_hooks.0.strict: StrictLoadHook has no such argument'),
    (dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', intervall=3))),
     r'default_hooks.checkpoint.intervall: .*interval\?'),
    (dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', keep=3))),
     'default_hooks.checkpoint.keep: CheckpointHook has no such argument'),
    (dict(visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend', dir=1)])),
     r'visualizer.vis_backends.0.dir: LocalVisBackend .*save_dir'),
    (dict(log_processor=dict(by_epochs=False)), r'log_processor.by_epochs: .*mean by_epoch\?'),
    # Values.
    (dict(train_cfg=dict(max_iters=-1)), 'train_cfg.max_iters=-1 should be a whole number of a'),
    (dict(train_cfg=dict(val_interval=0)), 'train_cfg.val_interval=0 should be a whole number of'),
    (dict(val_dataloader=dict(batch_size=0)), 'val_dataloader.batch_size=0 should be a whole'),
    (dict(randomness=dict(seed=-1)), 'randomness.seed=-1 should be a whole number from 0 to'),
    (dict(randomness=dict(seed='abc')), "randomness.seed='abc' should be a whole number from 0"),
    (dict(log_level='LOUD'), "log_level='LOUD' should be DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    # Types.
    (dict(model=dict(type='CTB')), r'model.type: mmengine has no CTB \(did you mean CBT\?\). '
     r'Register your own modules with custom_imports=dict\(imports=\[MODULE\]\)'),
    (dict(model=dict(type='cbsa_mm.backbones.CTB')), 'model.type: mmengine has no cbsa_mm.backb'),
    (dict(model=dict(type='nowhere.CBT')), 'model.type: mmengine has no nowhere.CBT'),
    (dict(model=dict(type='EncoderDecoder', backbone=dict(type='ResNet51')), default_scope='mmseg'),
     'model.backbone.type: mmseg has no ResNet51 .*mean ResNet'),
    (data(dict(type='Numbers', pipeline=[dict(type='Blurr')])),
     r'train_dataloader.dataset.pipeline.0.type: .*mean Blur\?'),
    (dict(optim_wrapper=dict(constructor='DefaultConstructor')),
     'optim_wrapper.constructor: mmengine has no DefaultConstructor'),
    (dict(custom_hooks=[dict(type='StrictLoadingHook')]), r'custom_hooks.0.type: .*StrictLoadHook'),
])
def test_mistakes_are_named(config, message):
    with pytest.raises(UserError, match=message) as error:
        check_config(Config(config))
    assert len(str(error.value).splitlines()) == 1
