from math import ceil

import pytest
import torch
import torch.nn.functional as F
from gradients import assert_same
from torch import nn

from cbsa_mm.errors import UserError
from cbsa_mm.necks import SimpleFeaturePyramid


def normalized(x, weight, bias):
    """LayerNorm over the channels of (B, C, H, W), by its formula."""
    centred = x - x.mean(1, keepdim=True)
    scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    return scaled * weight[:, None, None] + bias[:, None, None]


def doubled(x, weight, bias):
    """A 2x2 transposed convolution with stride 2: each place becomes four, which do not overlap."""
    patches = torch.einsum('bihw,ioyx->bohywx', x, weight)
    return patches.flatten(4).flatten(2, 3) + bias[:, None, None]


def plain(x, weights):
    """Levels 4, 2, 1, 0.5 and two more, from the text of the paper and a neck's parameters."""
    weights = iter(weights)

    def take(count):
        return [next(weights) for _ in range(count)]

    def level(x):
        x = normalized(torch.einsum('bihw,oi->bohw', x, take(1)[0][:, :, 0, 0]), *take(2))
        return normalized(F.conv2d(x, take(1)[0], padding=1), *take(2))

    four_times = doubled(F.gelu(normalized(doubled(x, *take(2)), *take(2))), *take(2))
    outs = [level(four_times)]
    outs.append(level(doubled(x, *take(2))))
    outs.append(level(x))
    outs.append(level(x.unflatten(2, (-1, 2)).amax(3).unflatten(3, (-1, 2)).amax(4)))
    outs.append(outs[-1][:, :, ::2, ::2])
    outs.append(outs[-1][:, :, ::2, ::2])
    assert not list(weights)
    return outs


def test_equals_the_plain_form():
    torch.manual_seed(0)
    neck = SimpleFeaturePyramid(16, 8, num_outs=6).double()
    weights = list(neck.parameters())
    for parameter in weights:
        nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 16, 4, 6, dtype=torch.float64, requires_grad=True)
    ours, theirs = (torch.cat([level.flatten() for level in levels])
                    for levels in (neck((torch.zeros(1), x)), plain(x, weights)))
    assert_same(ours, theirs, [x, *weights])


@pytest.mark.parametrize('height, width', [(4, 6), (1, 1), (7, 5)])
def test_sizes_of_levels(height, width):
    outs = SimpleFeaturePyramid(16, 8, num_outs=6)([torch.randn(2, 16, height, width)])
    assert [tuple(out.shape) for out in outs] == [
        (2, 8, ceil(height * scale), ceil(width * scale)) for scale in (4, 2, 1, 0.5, 0.25, 0.125)]


@pytest.mark.parametrize('arguments, message', [
    (dict(scales=(4, 3)), r'scales must be powers of two such as 4, 2, 1 and 0.5, got \(4, 3\)'),
    (dict(scales=(1, 2)), r'scales must be in descending order, got \(1, 2\)'),
    (dict(in_channels=18), 'in_channels=18 must be a multiple of the largest of scales'),
    (dict(num_outs=3), 'num_outs must be at least 4, the number of scales, got 3'),
])
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SimpleFeaturePyramid(**dict(dict(in_channels=16), **arguments))


def test_refuses_other_inputs():
    with pytest.raises(UserError, match=r'of shape \(B, 16, H, W\), got \(2, '):
        SimpleFeaturePyramid(16)([torch.zeros(2, 8, 4, 4)])
