from functools import partial
from itertools import product

import pytest
import torch

from cbsa_mm.backbones import CBT, AdaptedViT, PlainViT
from cbsa_mm.backbones.attention import AgentAttention
from cbsa_mm.interpret import count_flops, count_similarities, trace
from cbsa_mm.layers import CBSA, MHSA, TSSA, AdaptedMHSA, CrossMSSA, LinearAttention
from cbsa_mm.layers.cbsa import REFUSALS

D, H, P, N, M, K = 24, 2, 10, 36, 9, 5  # width, heads, theirs, tokens, representatives, classes
CHOICES = [choice for choice in product(('pooled', 'learnable', 'tokens', 'principal',
                                         'orthogonal', 'fixed'),
                                        ('softmax', 'inverse', 'none'), ('free', 'tied'), (0, 3))
           if choice[:2] not in REFUSALS]
ATTENTIONS = {
    **{'-'.join(map(str, choice)): partial(
        CBSA, D, H, P, 3, **dict(zip(('representatives', 'contraction', 'output', 'conv_size'),
                                     choice))) for choice in CHOICES},
    'MHSA': partial(MHSA, D, H, P),
    'LinearAttention': partial(LinearAttention, D, H, P),
    'AdaptedMHSA': partial(AdaptedMHSA, D, H, P, 3),
    'AdaptedMHSA-contraction': partial(AdaptedMHSA, D, H, P, 3, contraction=True),
    'AgentAttention': partial(AgentAttention, D, H, P, 3),
    'TSSA': partial(TSSA, D, H, P),
}
SMALL = dict(arch=dict(embed_dims=16, num_layers=2, num_heads=2), img_size=32)
MODELS = {
    **{name: partial(CBT, **SMALL, attn_cfg=dict(type=name))
       for name in ('CBSA', 'MSSA', 'TSSA', 'AgentAttention')},
    'deploy': partial(CBT, **SMALL, deploy=True),
    'crate': partial(CBT, **SMALL, attn_cfg=dict(type='MSSA'), stem='linear'),
    'adapted': partial(AdaptedViT, **SMALL),
    'plain': partial(PlainViT, **SMALL),
}


def count(make, *args):
    """FLOPs on each device: tensors of the sizes that are given, numbers and grids as they are."""
    for device in ('cpu', 'meta'):
        with torch.device(device), torch.no_grad():
            yield count_flops(make(), *(
                torch.zeros(arg) if isinstance(arg, list) else arg for arg in args))


@pytest.mark.parametrize('make', ATTENTIONS.values(), ids=ATTENTIONS)
def test_attentions_cost_the_same_on_all_devices(make):
    cpu, meta = count(make, [1, N, D], (6, 6))
    assert cpu == meta > 2 * 2 * N * D * H * P  # more than the projections


@pytest.mark.parametrize('make', MODELS.values(), ids=MODELS)
def test_models_cost_the_same_on_all_devices(make):
    cpu, meta = count(lambda: make().eval(), [1, 3, 32, 48])
    assert cpu == meta > 0


def test_attention_is_counted_by_its_products():
    projections = 2 * N * D * H * P
    assert set(count(ATTENTIONS['MHSA'], [1, N, D], (6, 6))) == {
        4 * projections + 4 * N * N * H * P}
    assert set(count(ATTENTIONS['tokens-softmax-tied-0'], [1, N, D], (6, 6))) == {
        2 * projections + 4 * N * N * H * P}
    assert set(count(partial(CrossMSSA, D, H, P), [1, K, D], [1, N, D])) == {
        projections + 2 * 2 * K * D * H * P + 4 * K * N * H * P}


@pytest.mark.parametrize('name, number', [
    ('MHSA', N * N), ('tokens-softmax-free-0', N * N), ('AgentAttention', 2 * N * M),
    ('AdaptedMHSA', 2 * N * M), ('AdaptedMHSA-contraction', N * M + M * M),
    ('pooled-softmax-free-0', N * M + M * M), ('pooled-inverse-free-0', N * M + M * M),
    ('principal-inverse-free-0', N * P), ('fixed-inverse-free-0', N * P), ('TSSA', N * P),
    ('LinearAttention', N * P)])
def test_similarities(name, number):
    assert count_similarities(trace(ATTENTIONS[name](), torch.zeros(2, N, D), (6, 6))) == number
