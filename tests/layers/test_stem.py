import pytest
import torch

from cbsa_mm.layers import ConvStem


@pytest.mark.parametrize('patch_size, widths', [(16, [8, 16, 32, 64]), (8, [16, 32, 64])])
def test_widths_and_stride(patch_size, widths):
    stem = ConvStem(3, 64, patch_size)
    assert [m.out_channels for m in stem if isinstance(m, torch.nn.Conv2d)] == widths
    assert isinstance(stem[-1], torch.nn.BatchNorm2d)  # no activation after the last
    assert stem(torch.randn(2, 3, 64, 33)).shape == (2, 64, 64 // patch_size, -(-33 // patch_size))


@pytest.mark.parametrize('patch_size', [-8, 0, 1, 12])
def test_refuses_other_patch_sizes(patch_size):
    with pytest.raises(ValueError, match=f'power of two such as 8 or 16, got {patch_size}'):
        ConvStem(3, 64, patch_size)


def test_refuses_widths_that_can_not_be_halved():
    with pytest.raises(ValueError, match='embed_dims=20 must be a multiple of 8'):
        ConvStem(3, 20, 16)
