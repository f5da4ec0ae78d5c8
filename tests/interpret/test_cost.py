from functools import partial

import pytest
import torch

from cbsa_mm.backbones import CBT, AdaptedViT, PlainViT
from cbsa_mm.backbones.attention import AgentAttention
from cbsa_mm.interpret import count_flops, count_similarities, trace
from cbsa_mm.layers import CBSA, MHSA, TSSA, AdaptedMHSA, LinearAttention
from cbsa_mm.layers.representatives import REFUSALS

D, H, P, N, M = 24, 2, 10, 36, 9  # width, heads, theirs, tokens, representatives
ATTENTIONS = {
    **{f'{representatives}-{contraction}': partial(CBSA, D, H, P, 3, representatives, contraction)
       for representatives in ('pooled', 'learnable', 'tokens', 'principal', 'orthogonal', 'fixed')
       for contraction in ('softmax', 'inverse', 'none')
       if (representatives, contraction) not in REFUSALS},
    'tied': partial(CBSA, D, H, P, 3, output='tied'),
    'tied tokens': partial(CBSA, D, H, P, 3, 'tokens', output='tied'),
    'convolution': partial(CBSA, D, H, P, 3, conv_size=3),
    'MHSA': partial(MHSA, D, H, P),
    'LinearAttention': partial(LinearAttention, D, H, P),
    'AdaptedMHSA': partial(AdaptedMHSA, D, H, P, 3),
    'AdaptedMHSA-contraction': partial(AdaptedMHSA, D, H, P, 3, contraction=True),
    'AgentAttention': partial(AgentAttention, D, H, P, 3),
    'TSSA': partial(TSSA, D, H, P),
}
SMALL = dict(arch=dict(embed_dims=16, num_layers=2, num_heads=2), img_size=32)
MODELS = {
    'CBT': partial(CBT, **SMALL),
    'deploy': partial(CBT, **SMALL, deploy=True),
    'CRATE': partial(CBT, **SMALL, attn_cfg=dict(type='MSSA'), stem='linear'),
    'adapted ViT': partial(AdaptedViT, **SMALL),
    'plain ViT': partial(PlainViT, **SMALL),
}


@pytest.mark.parametrize('make, shape, grid', [
    *(pytest.param(make, (1, N, D), [(6, 6)], id=name) for name, make in ATTENTIONS.items()),
    *(pytest.param(make, (1, 3, 32, 48), [], id=name) for name, make in MODELS.items())])
def test_costs_the_same_on_all_devices(make, shape, grid):
    counts = []
    for device in ('cpu', 'meta'):
        with torch.device(device):
            counts.append(count_flops(make().eval(), torch.zeros(shape), *grid))
    assert counts[0] == counts[1] > 2 * 2 * N * D * H * P  # more than two projections


@pytest.mark.parametrize('name, number', [
    ('MHSA', N * N), ('tokens-softmax', N * N), ('AgentAttention', 2 * N * M),
    ('AdaptedMHSA', 2 * N * M), ('AdaptedMHSA-contraction', N * M + M * M),
    ('pooled-softmax', N * M + M * M), ('pooled-inverse', N * M + M * M),
    ('principal-inverse', N * P), ('fixed-inverse', N * P), ('TSSA', N * P),
    ('LinearAttention', N * P)])
def test_similarities(name, number):
    assert count_similarities(trace(ATTENTIONS[name](), torch.zeros(2, N, D), (6, 6))) == number
