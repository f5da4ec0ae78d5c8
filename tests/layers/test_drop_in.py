"""Attentions in the ViTs of other libraries."""
import warnings

import pytest
import timm
import torch
from mmpretrain.models import VisionTransformer
from torch import nn

from cbsa_mm.backbones import AdaptedViT
from cbsa_mm.layers import CBSA, MHSA, TSSA, AdaptedMHSA, replace_attention

SIZES = dict(embed_dims=24, num_layers=2, num_heads=3)


def make(library, img_size=64, **kwargs):
    torch.manual_seed(0)
    if library == 'timm':
        return timm.create_model('vit_tiny_patch16_224', img_size=img_size, embed_dim=24, depth=2,
                                 num_heads=3, num_classes=0, dynamic_img_size=True, **kwargs)
    return VisionTransformer(SIZES | dict(feedforward_channels=96), img_size, **kwargs)


def run(model, image):
    out = model(image)
    return out[0] if isinstance(out, tuple) else out


def blocks(model):
    return model.blocks if hasattr(model, 'blocks') else model.layers


@pytest.mark.parametrize('library', ['timm', 'mmpretrain'])
def test_is_our_vit_with_the_same_weights(library):
    model, kwargs = make(library, (64, 96)), dict(grid_size=2, contraction=True)
    model.eval()
    reference = AdaptedViT(SIZES, (64, 96), grid_offset=1, **kwargs)
    reference.load_state_dict(model.state_dict())
    replace_attention(model, AdaptedMHSA, **kwargs)
    image, other = torch.randn(2, 3, 64, 96), torch.randn(1, 3, 80, 48)
    y, expected = run(model, image), reference(image)[0]
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    y.square().sum().backward()
    expected.square().sum().backward()
    for block, layer in zip(blocks(model), reference.layers):
        torch.testing.assert_close(block.attn.attn.in_proj.weight.grad,
                                   layer.attn.in_proj.weight.grad, rtol=1e-3, atol=1e-4)
    if library == 'mmpretrain':  # timm resizes position embeddings differently
        torch.testing.assert_close(run(model, other), reference(other)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('library', ['timm', 'mmpretrain'])
@pytest.mark.parametrize('attention, kwargs', [(CBSA, dict(grid_size=2)), (TSSA, {})])
def test_trains(library, attention, kwargs):
    registers = dict(reg_tokens=2) if library == 'timm' else {}
    model = replace_attention(make(library, **registers), attention, **kwargs)
    run(model, torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad.isfinite().all() for block in blocks(model) for p in block.attn.parameters())


def test_keeps_what_follows_the_attention():
    model = replace_attention(make('mmpretrain', drop_path_rate=0.5, layer_scale_init_value=0.1))
    after = model.layers[1].attn.after
    assert [type(module).__name__ for module in after] == ['Dropout', 'LayerScale', 'DropPath']
    assert after[2].drop_prob == 0.5


def test_chosen_layers_and_refusals():
    model = replace_attention(make('timm', qk_norm=True), grid_size=2, layers=[1])
    assert hasattr(model.blocks[0].attn, 'qkv') and hasattr(model.blocks[1].attn.attn, 'step_x')
    with pytest.raises(ValueError, match='no place for the weights of k_norm, q_norm in Attention'):
        replace_attention(model, MHSA, layers=[0])
    with pytest.raises(ValueError, match='VisionTransformer is not a ViT of .* its own attention'):
        replace_attention(model)
    with pytest.raises(ValueError, match='Linear is not a ViT of timm or mmpretrain'):
        replace_attention(nn.Linear(2, 2))
    with pytest.raises(ValueError, match='CBSA has no attn_mask'):
        model(torch.randn(1, 3, 64, 64), attn_mask=torch.ones(17, 17, dtype=torch.bool))


@pytest.mark.parametrize('attn', [
    CBSA(8, 2, grid_size=2), CBSA(8, 2, representatives='learnable', conv_size=3)])
def test_a_class_token_in_the_grid_is_told(attn):
    x = torch.randn(2, 5, 8)
    tssa = TSSA(8, 2)
    torch.testing.assert_close(tssa(x), tssa(x, (2, 2)))  # only pooling and convolutions need it
    with pytest.raises(ValueError, match='need the grid'):
        attn(x)
    with pytest.warns(UserWarning, match='give grid_offset=1 to pool the patches'):
        attn(x, (2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        attn(x, (2, 2), 0)
        attn(x[:, 1:], (2, 2))
