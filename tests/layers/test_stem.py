import pytest
import torch

from cbsa_mm.layers import ConvStem


@pytest.mark.parametrize('embed_dims, patch_size, message', [
    (64, 12, 'power of two such as 8 or 16, got 12'),
    (20, 16, 'embed_dims=20 must be a multiple of 8'),
])
def test_refuses_sizes(embed_dims, patch_size, message):
    with pytest.raises(ValueError, match=message):
        ConvStem(3, embed_dims, patch_size)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_output_is_tokens_without_a_copy(layout):
    out = ConvStem(3, 16)(torch.randn(2, 3, 32, 48).to(memory_format=layout))
    assert out.flatten(2).transpose(1, 2).is_contiguous()
