from pathlib import Path

import pytest
import released_models as models
from mmengine.config import Config

from cbsa_mm.checkpoints import convert, describe
from cbsa_mm.checkpoints.write_config import find_config, write_config

CONFIGS = Path(__file__).parents[2] / 'configs'
CBT_T = dict(
    embed_dims=192, num_layers=12, num_heads=3, head_dims=64, patch_size=16, img_size=(224, 224),
    num_classes=1000, backbone=dict(type='CBT'), num_parameters=1789192)
CRATE_ALPHA = dict(
    type='PlainViT', attn_cfg=dict(type='MSSA', out_bias=False), ffn_cfg=dict(type='ODL'))
CRATE_ALPHA_B = CBT_T | dict(
    embed_dims=768, num_heads=12, num_parameters=72328936,
    backbone=dict(CRATE_ALPHA, final_norm_eps=1e-5))


def pipelines(cfg):
    """The steps of a config that say a size, for training and for the test."""
    return [[{key: step[key] for key in ('scale', 'crop_size') if key in step}
             for step in cfg[f'{split}_dataloader'].dataset.pipeline
             if {'scale', 'crop_size'} & set(step)] for split in ('train', 'test')]


@pytest.mark.parametrize('facts, shipped', [
    (CBT_T, 'cbt/cbt-t_in1k.py'),
    (CBT_T | dict(num_classes=10, num_parameters=1598122), 'finetune/cbt-t_cifar10.py'),
    (CRATE_ALPHA_B, 'crate_alpha/crate-alpha-b16_in1k.py'),
    (CRATE_ALPHA_B | dict(patch_size=8, num_parameters=72338152,
                          backbone=dict(CRATE_ALPHA, final_norm_eps=None)),
     'crate_alpha/crate-alpha-b8_in1k.py'),
    (CBT_T | dict(patch_size=32), None),
])
def test_the_shipped_config_that_fits_is_inherited(facts, shipped, tmp_path):
    cfg, path = find_config('mmpretrain', facts, CONFIGS)
    assert path == (shipped and CONFIGS / shipped)
    assert cfg.model.head.num_classes == facts['num_classes']
    init_cfg = dict(type='Pretrained', checkpoint='a.pth')
    write_config(tmp_path / 'config.py', 'Title', cfg, path, init_cfg)
    written = Config.fromfile(tmp_path / 'config.py')
    assert written.model.backbone.pop('init_cfg') == init_cfg
    cfg.model.backbone.pop('init_cfg', None)
    assert written.to_dict() == cfg.to_dict()
    assert ('_base_' in (tmp_path / 'config.py').read_text()) == bool(shipped)


def test_a_segmenter_of_another_size():
    weights = models.make_segmenter(192, 2, 1, side=96, classes=7)
    facts = describe(convert(weights)) | dict(img_size=(96, 128))
    cfg, _ = find_config('mmseg', facts, CONFIGS)
    assert pipelines(cfg) == [[dict(scale=(384, 96)), dict(crop_size=(96, 128))],
                              [dict(scale=(384, 96))]]
    assert cfg.model.test_cfg == dict(mode='slide', crop_size=(96, 128), stride=(64, 96))
    assert cfg.model.decode_head.num_classes == 7
    assert cfg.model.decode_head.loss_decode.avg_non_ignore
