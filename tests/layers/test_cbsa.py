import oracle
import pytest
import torch
from gradients import assert_same

from cbsa_mm.interpret import count_flops
from cbsa_mm.layers import CBSA


@pytest.mark.parametrize('embed_dims, num_heads, head_dims, grid_size, grid, extra, offset', [
    (12, 3, None, 4, (8, 8), 1, 0),
    (12, 3, None, 4, (8, 8), 1, 1),
    (16, 2, 10, 3, (7, 5), 4, 0),
    (6, 5, 7, 2, (1, 9), 0, 0),
    (8, 1, 3, 10, (4, 6), 2, 2),  # fewer tokens a side than representatives
])
def test_equals_the_equations(embed_dims, num_heads, head_dims, grid_size, grid, extra, offset):
    torch.manual_seed(embed_dims)
    attn = CBSA(embed_dims, num_heads, head_dims, grid_size).double()
    x = torch.randn(2, grid[0] * grid[1] + extra, embed_dims, dtype=torch.double)
    parameters = dict(attn.named_parameters())
    theirs = oracle.cbsa(x, parameters, num_heads, grid, grid_size, offset)
    assert_same(attn(x, grid, offset), theirs, parameters.values())


def test_tokens_outside_the_grid_have_no_order():
    attn = CBSA(12, 3, grid_size=2).double()
    x = torch.randn(1, 16 + 5, 12, dtype=torch.double)
    order = torch.cat([torch.arange(16), 16 + torch.randperm(5)])
    torch.testing.assert_close(attn(x[:, order], (4, 4)), attn(x, (4, 4))[:, order])


def test_mirrored_image_gives_mirrored_tokens():
    attn = CBSA(12, 3, grid_size=4).double()
    image = torch.randn(1, 6, 10, 12, dtype=torch.double)
    ours = attn(image.flatten(1, 2), (6, 10)).unflatten(1, (6, 10))
    mirrored = attn(image.flip(2).flatten(1, 2), (6, 10)).unflatten(1, (6, 10))
    torch.testing.assert_close(mirrored, ours.flip(2))


@pytest.mark.parametrize('side', [4, 5, 8, 30])
def test_cost(side):
    N, d, h, m, g = side * side, 32, 2, 16, 4
    flops = count_flops(CBSA(d, h, grid_size=g), torch.randn(1, N, d), (side, side))
    pooling = g * N * d + g * g * side * d
    attention = 2 * N * m * d + 2 * m * m * d                          # eqs. 5 and 8
    broadcast_first, project_first = N * m * d + N * d * d, m * d * d + N * h * m * d
    assert flops == 2 * (N * d * d + pooling + attention + min(broadcast_first, project_first))
    assert (broadcast_first < project_first) == (side <= 5)            # both orders were seen


@pytest.mark.parametrize('kwargs, message', [
    (dict(embed_dims=10, num_heads=3), 'num_heads=3 does not divide embed_dims=10'),
    (dict(embed_dims=8, num_heads=2, grid_size=-1), 'grid_size must be at least 1'),
])
def test_refuses_bad_sizes(kwargs, message):
    with pytest.raises(ValueError, match=message):
        CBSA(**kwargs)
