import pytest
import torch
from mmpretrain.models import VisionTransformer

from cbsa_mm.backbones import AdaptedViT
from cbsa_mm.checkpoints import MMPRETRAIN_VIT, MMSEG_VIT, check_pretrained
from cbsa_mm.errors import UserError

ARCH = dict(embed_dims=48, num_layers=3, num_heads=3)


@pytest.fixture(scope='module')
def vit():
    """mmpretrain's ViT with parameters that all do something."""
    torch.manual_seed(0)
    model = VisionTransformer(
        ARCH | dict(feedforward_channels=192), img_size=64, patch_size=16, out_type='raw')
    model.eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def by_names_of(library, vit):
    """mmpretrain's state dict by the names of another library, with timm's classifier."""
    if library == 'mmpretrain':
        return vit.state_dict()
    tensors = {MMPRETRAIN_VIT.rename(k, 'ours'): v for k, v in vit.state_dict().items()}
    if library == 'mmseg':
        return {MMSEG_VIT.rename(k, 'released'): v for k, v in tensors.items()}
    return tensors | {'head.weight': torch.ones(7, 48), 'head.bias': torch.ones(7)}


@pytest.mark.parametrize('library', ['mmpretrain', 'timm', 'mmseg'])
def test_not_adapted_it_is_the_pretrained_vit(vit, library, tmp_path):
    file, state_dict = tmp_path / 'vit.pth', by_names_of(library, vit)
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    if library == 'mmpretrain':  # a classifier's checkpoint
        init_cfg['prefix'] = 'backbone.'
        state_dict = {f'backbone.{k}': v for k, v in state_dict.items()}
        state_dict = dict(state_dict=state_dict | {'head.layers.head.bias': torch.ones(7)})
    torch.save(state_dict, file)
    model, larger = (AdaptedViT(ARCH, img_size, adapted_layers=[], out_type='raw',
                                init_cfg=init_cfg).eval() for img_size in (64, 96))
    for backbone in (model, larger):
        check_pretrained(backbone)
        backbone.init_weights()
    image = torch.randn(2, 3, 96, 96)  # interpolated while loading or in forward
    torch.testing.assert_close(larger(image)[0], model(image)[0])
    image = image[..., :64, :64]
    torch.testing.assert_close(model(image)[0], vit(image)[0])

    with pytest.raises(UserError, match='do not fit the model: .* such as'):
        check_pretrained(AdaptedViT(ARCH | dict(num_layers=4), init_cfg=init_cfg))


def test_chosen_layers_are_adapted():
    model = AdaptedViT(ARCH, 64, adapted_layers=(0, -1), grid_size=2, contraction=True)
    assert [type(layer.attn).__name__ for layer in model.layers] == [
        'AdaptedMHSA', 'MHSA', 'AdaptedMHSA']
    assert model.layers[0].attn.contraction is not None
    with pytest.raises(ValueError, match='adapted_layers must be indices of the 3 layers, got 3'):
        AdaptedViT(ARCH, adapted_layers=[3])


def test_deploy_form_is_the_same_function(vit):
    model = AdaptedViT(ARCH, img_size=64, out_type='raw').eval()
    model.load_state_dict(vit.state_dict())
    image = torch.randn(2, 3, 64, 64)
    expected = model(image)[0]
    model.switch_to_deploy()
    torch.testing.assert_close(model(image)[0], expected)
