"""Layers of any sizes and choices: finite, of the right shape, images apart, true gradients."""
import pytest
import torch
from choices import CHOICES
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call

from cbsa_mm.layers import (
    CBSA,
    ISTA,
    MHSA,
    MLP,
    ODL,
    TSSA,
    AdaptedMHSA,
    Block,
    LinearAttention,
)


@st.composite
def widths(draw):
    """embed_dims, num_heads and head_dims, in which heads need not divide the width."""
    heads, head_dims = draw(st.integers(1, 3)), draw(st.none() | st.integers(1, 5))
    dims = heads * draw(st.integers(1, 4)) if head_dims is None else draw(st.integers(1, 9))
    return dims, heads, head_dims


@st.composite
def attentions(draw):
    """An attention of random weights, float32."""
    sizes, grid_size = draw(widths()), draw(st.integers(1, 4))
    cls = draw(st.sampled_from([CBSA, TSSA, MHSA, AdaptedMHSA, LinearAttention]))
    torch.manual_seed(draw(st.integers(0, 99)))
    if cls is CBSA:
        representatives, contraction = draw(st.sampled_from(CHOICES))
        return CBSA(*sizes, grid_size, representatives, contraction,
                    output=draw(st.sampled_from(['free', 'tied'])),
                    eps=draw(st.sampled_from([0.1, 1.])),
                    conv_size=draw(st.sampled_from([0, 1, 3])))
    if cls is AdaptedMHSA:
        return AdaptedMHSA(*sizes, grid_size, contraction=draw(st.booleans()))
    return cls(*sizes)


@st.composite
def grids(draw):
    """A grid, its offset, and the number of tokens: some may lie before it, and some behind."""
    height, width, before, behind = (draw(st.integers(low, high))
                                     for low, high in ((1, 6), (1, 6), (0, 2), (0, 2)))
    return (height, width), before, before + height * width + behind


def tokens(batch, n, dims, dtype=torch.double):
    return torch.randn(batch, n, dims, generator=torch.Generator().manual_seed(n)).to(dtype)


@given(attentions(), grids(), st.integers(1, 4), st.booleans())
def test_a_grid_that_does_not_fit_is_refused(attn, layout, excess, at_the_end):
    grid, offset, n = layout
    x = tokens(1, n, attn.in_proj.in_features, torch.float32)
    if type(attn) in (TSSA, MHSA, LinearAttention):  # to which the grid does not matter
        assert attn(x, grid, n).shape == x.shape
        return
    wrong = n - grid[0] * grid[1] + excess if at_the_end else -excess
    with pytest.raises(ValueError, match=f'at grid_offset={wrong} does not fit into {n} tokens'):
        attn(x, grid, wrong)


@given(attentions(), grids(), st.sampled_from([ISTA, ODL, MLP, None]), st.booleans())
def test_block(attn, layout, step, with_cp):
    """ISTA in both of its forms, as tokens are more or fewer than dimensions."""
    (grid, offset, n), dims = layout, attn.in_proj.in_features
    block = Block(dims, attn, step and step(dims), with_cp=with_cp).double().eval()
    torch.nn.init.normal_(block.norm1.weight)
    torch.nn.init.normal_(block.norm1.bias)
    x, names = tokens(2, n, dims), [name for name, _ in block.named_parameters()]

    def function(x, *parameters):
        return functional_call(block, dict(zip(names, parameters)), (x, grid, offset))

    inputs = [t.detach().requires_grad_() for t in (x[:1], *block.parameters())]
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    y = block(x, grid, offset)
    assert y.shape == x.shape and y.isfinite().all()
    alone = torch.cat([block(image[None], grid, offset) for image in x])
    torch.testing.assert_close(y, alone, rtol=1e-8, atol=1e-9)
    block.switch_to_deploy()
    torch.testing.assert_close(block(x, grid, offset), y)
