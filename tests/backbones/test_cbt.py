import pytest
import released
import torch
import torch.nn.functional as F

from cbsa_mm.backbones import CBT
from cbsa_mm.checkpoints import (
    CBT_CLASSIFIER,
    CRATE_CLASSIFIER,
    CRATE_STYLE_CLASSIFIER,
    TOST_STYLE_CLASSIFIER,
)

SMALL = dict(embed_dims=16, num_layers=2, num_heads=2)


@pytest.mark.released
@pytest.mark.parametrize('name, table, kwargs', [
    ('cbt_classifier', CBT_CLASSIFIER, dict()),
    ('crate_style_classifier', CRATE_STYLE_CLASSIFIER, dict(attn_cfg=dict(type='MSSA'))),
    ('tost_style_classifier', TOST_STYLE_CLASSIFIER, dict(attn_cfg=dict(type='TSSA'))),
    ('crate_original_classifier', CRATE_CLASSIFIER,
     dict(attn_cfg=dict(type='MSSA'), stem='linear', img_size=64)),
])
def test_parity_with_the_released_classifiers(name, table, kwargs):
    golden, title = released.read(name), name
    weights = released.rename(released.pick(golden, 'weight.'), table)
    head = released.pick(weights, 'head.fc.')
    arch = dict(embed_dims=48, num_layers=2, num_heads=3)
    model = CBT(arch, out_type='raw', **kwargs).eval()
    model.load_state_dict(released.pick(weights, 'backbone.'))
    before_norm = []
    model.layers[-1].register_forward_hook(lambda module, args, out: before_norm.append(out))
    [tokens] = model(golden['input.image'])
    logits = F.linear(tokens[:, 0], head['weight'], head['bias'])
    if 'output.tokens' in golden:
        error = released.relative_error(before_norm[0], golden['output.tokens'])
        released.agree(f'{title}, tokens', error, 1e-5)
    error = released.relative_error(logits, golden['output.logits'])
    released.agree(f'{title}, logits', error, 1e-5)

    F.cross_entropy(logits, torch.arange(2)).backward()
    grads = released.rename(released.pick(golden, 'grad.'), table)
    grads = released.pick(grads, 'backbone.')
    assert set(grads) == {name for name, _ in model.named_parameters()}
    released.agree(f'{title}, gradients, the worst', [
        released.relative_error(parameter.grad, grads[name])
        for name, parameter in model.named_parameters()], 1e-4)


@pytest.mark.parametrize('arch, millions', [
    ('tiny', 1.79), ('small', 6.67), ('base', 25.69), ('large', 83.05)])
def test_parameters_of_the_released_classifiers(arch, millions):
    with torch.device('meta'):
        model = CBT(arch)
    count = sum(p.numel() for p in model.parameters()) + 1000 * (model.embed_dims + 1)
    assert round(count / 1e6, 2) == millions


def test_grid_offset_tells_released_from_corrected_grid():
    released_grid, corrected = CBT(SMALL, img_size=64), CBT(SMALL, img_size=64, grid_offset=1)
    corrected.load_state_dict(released_grid.state_dict())
    image = torch.randn(1, 3, 64, 64)
    assert not torch.allclose(released_grid.eval()(image)[0], corrected.eval()(image)[0])


def test_position_embeddings_fit_while_loading():
    small, large = CBT(SMALL, img_size=64), CBT(SMALL, img_size=(128, 96))
    large.load_state_dict(small.state_dict())
    assert torch.equal(large.pos_embed[:, 0], small.pos_embed[:, 0])
    assert not large.load_state_dict(small.state_dict()).missing_keys
    # Interpolated while loading or in forward, it is the same function.
    image = torch.randn(1, 3, 128, 96)
    torch.testing.assert_close(small.eval()(image)[0], large.eval()(image)[0])


def test_refuses_a_checkpoint_of_another_arch():
    with pytest.raises(ValueError, match="its embed_dims is 32, this CBT's 16"):
        CBT(SMALL).load_state_dict(CBT(SMALL | dict(embed_dims=32)).state_dict())


@pytest.mark.parametrize('shape, message', [
    ((16, ), r'must have the shape \(1, tokens, d\), got \(16,\)'),
    ((2, 17, 16), r'must have the shape \(1, tokens, d\), got \(2, 17, 16\)'),
    ((1, 0, 16), "the grid of the checkpoint's 0 position embeddings is unknown"),
    ((1, 1, 16), "the grid of the checkpoint's 0 position embeddings is unknown"),
])
def test_refuses_misshapen_position_embeddings(shape, message):
    model = CBT(SMALL)
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(model.state_dict() | dict(pos_embed=torch.zeros(shape)))


def test_refuses_position_embeddings_of_unknown_grid():
    with pytest.raises(ValueError, match="the grid of the checkpoint's 6 position embeddings"):
        CBT(SMALL).load_state_dict(CBT(SMALL, img_size=(32, 48)).state_dict())


def test_checkpointing_changes_no_gradient():
    plain, saving = CBT(SMALL, img_size=64), CBT(SMALL, img_size=64, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 64)
    for model in (plain, saving):
        model(image)[0].square().sum().backward()
    for ours, theirs in zip(plain.parameters(), saving.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 2])
def test_frozen_stages(frozen_stages):
    model = CBT(SMALL, img_size=64, frozen_stages=frozen_stages).train()
    mean = model.stem[1].running_mean.clone()
    model(torch.randn(2, 3, 64, 64))[0].sum().backward() if frozen_stages < 2 else \
        model(torch.randn(2, 3, 64, 64))
    assert torch.equal(model.stem[1].running_mean, mean) == (frozen_stages >= 0)
    frozen = {name.split('.weight')[0] for name, p in model.named_parameters()
              if not p.requires_grad}
    assert ('pos_embed' in frozen) == ('stem.0' in frozen) == (frozen_stages >= 0)
    assert ('layers.0.ista' in frozen) == (frozen_stages >= 1)
    assert ('layers.1.ista' in frozen) == ('norm' in frozen) == (frozen_stages >= 2)


def test_drop_path_grows_with_depth():
    model = CBT(SMALL | dict(num_layers=3), drop_path_rate=0.2)
    assert [layer.drop_path.p for layer in model.layers] == pytest.approx([0, 0.1, 0.2])


def test_layer_depth():
    model = CBT(SMALL)
    depths = {name: model.get_layer_depth(f'backbone.{name}', 'backbone.')
              for name in ('cls_token', 'stem.0.weight', 'layers.1.ista.weight', 'norm.weight')}
    assert depths == {'cls_token': (0, 4), 'stem.0.weight': (0, 4),
                      'layers.1.ista.weight': (2, 4), 'norm.weight': (3, 4)}
    assert model.get_layer_depth('head.fc.weight', 'backbone.') == (3, 4)


@pytest.mark.parametrize('kwargs, message', [
    (dict(arch='huge'), "unknown arch 'huge': choose from tiny, small, base, large"),
    (dict(arch=dict(embed_dims=8)), 'arch as a dict must have the keys'),
    (dict(arch=SMALL | dict(depth=3)), 'arch as a dict must have the keys'),
    (dict(out_type='cls'), "out_type must be one of cls_token, featmap, raw, got 'cls'"),
    (dict(out_indices=(0, 12)), 'out_indices must be indices of the 12 layers, got 12'),
    (dict(out_indices=(-1, 0)), 'out_indices must list layers in ascending order'),
    (dict(out_indices=()), 'out_indices must list layers in ascending order'),
    (dict(stem='flat'), "stem must be one of conv, linear, patch, got 'flat'"),
    (dict(attn_cfg=[dict(type='MSSA')] * 3), 'or one for each of the 12 layers, got 3'),
    (dict(attn_cfg=dict(type='CBSA', output='x')), "output must be 'free' or 'tied', got 'x'"),
    (dict(grid_offset=2), 'grid_offset must be 0 or 1, got 2'),
    (dict(frozen_stages=13), 'frozen_stages must lie between -1 and the 12 layers, got 13'),
])
def test_refuses_bad_arguments(kwargs, message):
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        CBT(**kwargs)


def test_refuses_images_with_other_channels():
    with pytest.raises(ValueError, match=r'in_channels=3 takes images of shape \(B, 3, H, W\)'):
        CBT(SMALL)(torch.randn(1, 4, 64, 64))
