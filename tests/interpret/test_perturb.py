from functools import partial

import pytest
import torch
from released import relative_error
from torch import Generator, nn

from cbsa_mm.backbones import CBT
from cbsa_mm.interpret import (
    add_noise,
    attention_layers,
    perturbed,
    random_rotation,
    rotate_whole_basis,
    rotate_within_heads,
)
from cbsa_mm.layers import CBSA, TSSA

GRID = 5, 6


def draw(make, *args, **kwargs):
    torch.manual_seed(0)
    return make(*args, **kwargs).double().eval()


def tokens(width):
    return torch.randn(2, 32, width, dtype=torch.float64, generator=Generator().manual_seed(1))


@pytest.mark.parametrize('sizes', [(24, 3, None), (16, 4, 12)])  # 16 < 4 * 12
@pytest.mark.parametrize('kwargs', [
    dict(grid_size=2), dict(representatives='tokens'),
    dict(representatives='principal', contraction='inverse')])
def test_rotation_within_heads_leaves_tied_attention_unchanged(kwargs, sizes):
    attn, x = draw(CBSA, *sizes, output='tied', **kwargs), tokens(sizes[0])
    expected = attn(x, GRID)
    with perturbed([attn], rotate_within_heads, std=1, seed=2):
        torch.testing.assert_close(attn(x, GRID), expected, rtol=1e-9, atol=1e-9)
    with perturbed([attn], rotate_whole_basis, std=1, seed=2):
        assert relative_error(attn(x, GRID), expected) > 1e-3


@pytest.mark.parametrize('std', [0.01, 3.])
def test_rotations(std):
    rotation = random_rotation(8, std, Generator().manual_seed(0))
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(8, dtype=torch.float64))
    assert torch.linalg.det(rotation).item() == pytest.approx(1)
    small = random_rotation(200, 1e-4, Generator().manual_seed(0)) - torch.eye(200)
    assert small.triu(1).square().sum().item() / (200 * 199 / 2) == pytest.approx(1e-8, rel=0.05)


@pytest.mark.parametrize('make', [partial(CBSA, grid_size=2), TSSA, nn.MultiheadAttention])
def test_noise_is_gaussian_on_every_parameter(make):
    layer, std = draw(make, 48, 4), 1e-3

    def weights():
        return torch.cat([parameter.detach().flatten() for parameter in layer.parameters()])

    def noise(seed):
        before = weights()
        with perturbed([layer], add_noise, std, seed):
            return (weights() - before) / std

    values = noise(seed=0)
    assert (values != 0).all()
    spread, mean = torch.std_mean(values)
    assert abs(mean) < 5 * len(values)**-0.5
    assert abs(spread - 1) < 5 * (2 * len(values))**-0.5
    assert torch.equal(noise(seed=0), values)
    assert not torch.isclose(noise(seed=1), values).any()


@pytest.mark.parametrize('change', [add_noise, rotate_within_heads, rotate_whole_basis])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_parameters_are_restored_bit_by_bit(change, dtype):
    model = draw(CBT, dict(embed_dims=24, num_layers=2, num_heads=3), img_size=32).to(dtype)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        with perturbed(attention_layers(model).values(), change, 0.7, seed=0):
            changed = {name for name, value in model.state_dict().items()
                       if not torch.equal(value, before[name])}
            raise KeyboardInterrupt
    changes = ['in_proj.weight']
    if change is add_noise:
        changes += ['out_proj.weight', 'out_proj.bias', 'step_rep', 'step_x']
    assert changed == {f'layers.{i}.attn.{name}' for i in range(2) for name in changes}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
