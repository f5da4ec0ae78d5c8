"""Layer-wise learning rate decay."""
import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from mmengine.registry.utils import init_default_scope
from torch import nn

import cbsa_mm.engine  # noqa: F401
from cbsa_mm.errors import UserError

SIZES = dict(embed_dims=16, num_layers=2, num_heads=2)
WRAPPER = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1., weight_decay=0.1),
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.5, norm_decay_mult=0.))


@pytest.mark.parametrize('backbone', ['CBT', 'PlainViT', 'mmpretrain.VisionTransformer'])
def test_rates_fall_towards_the_first_layers(backbone):
    init_default_scope('mmengine')
    sizes = SIZES | (dict(feedforward_channels=32) if 'mmpretrain' in backbone else {})
    model = nn.ModuleDict(dict(
        backbone=MODELS.build(dict(type=backbone, arch=sizes, img_size=32)),
        head=nn.Linear(16, 3)))
    optimizer = build_optim_wrapper(model, WRAPPER).optimizer
    found = {name: group for group in optimizer.param_groups for parameter in group['params']
             for name, other in model.named_parameters() if parameter is other}
    assert len(found) == len(list(model.parameters()))
    expected = {'backbone.pos_embed': 1 / 8, 'backbone.layers.0.': 1 / 4,
                'backbone.layers.1.': 1 / 2, 'head.': 1.}
    for start, rate in expected.items():
        assert {group['lr'] for name, group in found.items() if name.startswith(start)} == {rate}
    assert {group['weight_decay'] for name, group in found.items() if '.norm' in name} <= {0.}


@pytest.mark.parametrize('rate, message', [
    (0.5, 'layer-wise decay needs a backbone with get_layer_depth, which Identity'),
    (None, 'layer_decay_rate must be above 0 and at most 1, got None'),
])
def test_refuses(rate, message):
    model = nn.ModuleDict(dict(backbone=nn.Identity(), head=nn.Linear(2, 2)))
    with pytest.raises(UserError, match=message):
        build_optim_wrapper(model, WRAPPER | dict(paramwise_cfg=dict(layer_decay_rate=rate)))
