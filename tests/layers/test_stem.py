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


def test_deploy_form_is_the_same_function():
    stem = ConvStem(3, 16).double().eval()
    for module in stem:
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean):
                torch.nn.init.normal_(tensor)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    image = torch.randn(2, 3, 32, 48, dtype=torch.double)
    expected = stem(image)
    stem.switch_to_deploy()
    torch.testing.assert_close(stem(image), expected, rtol=1e-6, atol=1e-6)
    assert not any('running' in name for name in stem.state_dict())


def test_output_is_tokens_without_a_copy():
    image = torch.randn(2, 3, 32, 48)
    for layout in (torch.contiguous_format, torch.channels_last):
        out = ConvStem(3, 16)(image.to(memory_format=layout))
        assert out.flatten(2).transpose(1, 2).is_contiguous()
