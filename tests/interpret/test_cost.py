from functools import partial

import pytest
import torch
from choices import CHOICES

from cbsa_mm.backbones import CBT, AdaptedViT
from cbsa_mm.backbones.attention import AgentAttention
from cbsa_mm.interpret import count_flops, count_similarities, trace
from cbsa_mm.layers import CBSA, MHSA, TSSA, AdaptedMHSA, LinearAttention

D, H, P, N, M = 24, 2, 10, 36, 9  # width, heads, theirs, tokens, representatives
ATTENTIONS = {
    **{'-'.join(choice): partial(CBSA, D, H, P, 3, *choice) for choice in CHOICES},
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
SMALL = dict(embed_dims=16, num_layers=2, num_heads=2)
@pytest.mark.parametrize('make', [
    *ATTENTIONS.values(),
    *(partial(CBT, SMALL, img_size=32, deploy=deploy) for deploy in (False, True)),
    partial(AdaptedViT, SMALL, img_size=32)])
def test_costs_the_same_on_all_devices(make):
    """And more than two projections."""
    inputs = ((1, 3, 32, 48), ) if make.func in (CBT, AdaptedViT) else ((1, N, D), (6, 6))
    counts = []
    for device in ('cpu', 'meta'):
        with torch.device(device):
            counts.append(count_flops(make().eval(), torch.zeros(inputs[0]), *inputs[1:]))
    assert counts[0] == counts[1] > 2 * 2 * N * D * H * P


@pytest.mark.parametrize('name, number', [
    ('MHSA', N * N), ('tokens-softmax', N * N), ('AgentAttention', 2 * N * M),
    ('AdaptedMHSA', 2 * N * M), ('AdaptedMHSA-contraction', N * M + M * M),
    ('pooled-softmax', N * M + M * M), ('pooled-inverse', N * M + M * M),
    ('principal-inverse', N * P), ('fixed-inverse', N * P), ('TSSA', N * P),
    ('LinearAttention', N * P)])
def test_similarities(name, number):
    assert count_similarities(trace(ATTENTIONS[name](), torch.zeros(2, N, D), (6, 6))) == number
