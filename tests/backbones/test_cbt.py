import pytest
import released
import torch
import torch.nn.functional as F

from cbsa_mm.backbones import CBT, PlainViT
from cbsa_mm.checkpoints import (
    CBT_CLASSIFIER,
    CRATE_ALPHA_CLASSIFIER,
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
    ('crate_alpha_classifier', CRATE_ALPHA_CLASSIFIER,
     dict(attn_cfg=dict(type='MSSA', out_bias=False), ffn_cfg=dict(type='ODL'), img_size=64,
          final_norm_eps=1e-5)),
])
def test_parity_with_the_released_classifiers(name, table, kwargs):
    golden = released.read(name)
    weights = released.rename(released.pick(golden, 'weight.'), table)
    head = released.pick(weights, 'head.fc.')
    arch = dict(embed_dims=48, num_layers=2, num_heads=3)
    backbone = PlainViT if table is CRATE_ALPHA_CLASSIFIER else CBT
    model = backbone(arch, out_type='raw', **kwargs).eval()
    model.load_state_dict(released.pick(weights, 'backbone.'))
    before_norm = []
    model.layers[-1].register_forward_hook(lambda module, args, out: before_norm.append(out))
    [tokens] = model(golden['input.image'])
    logits = F.linear(tokens[:, 0], head['weight'], head['bias'])
    for kind, ours in (('tokens', before_norm[0]), ('logits', logits)):
        if f'output.{kind}' in golden:
            error = released.relative_error(ours, golden[f'output.{kind}'])
            released.agree(f'{name}, {kind}', error, 1e-5)

    F.cross_entropy(logits, torch.arange(2)).backward()
    grads = released.rename(released.pick(golden, 'grad.'), table)
    grads = released.pick(grads, 'backbone.')
    assert set(grads) == {name for name, _ in model.named_parameters()}
    released.agree(f'{name}, gradients, the worst', [
        released.relative_error(parameter.grad, grads[name])
        for name, parameter in model.named_parameters()], 1e-4)


@pytest.mark.parametrize('arch, millions', [
    ('tiny', 1.79), ('small', 6.67), ('base', 25.69), ('large', 83.05)])
def test_parameters_of_the_released_classifiers(arch, millions):
    with torch.device('meta'):
        model = CBT(arch)
    count = sum(p.numel() for p in model.parameters()) + 1000 * (model.embed_dims + 1)
    assert round(count / 1e6, 2) == millions


@pytest.mark.parametrize('change, message', [
    (dict(pos_embed=torch.zeros(2, 17, 16)), r'\(1, tokens, d\), got \(2, 17, 16\)'),
    (dict(pos_embed=torch.zeros(1, 7, 16)), "checkpoint's 6 position embeddings is unknown"),
    (CBT(SMALL | dict(embed_dims=32)).state_dict(), "its embed_dims is 32, this CBT's 16"),
])
def test_refuses_state_dicts(change, message):
    model = CBT(SMALL)
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(model.state_dict() | change)


def test_checkpointing_changes_no_gradient():
    plain, saving = CBT(SMALL, img_size=64), CBT(SMALL, img_size=64, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 64)
    for model in (plain, saving):
        model(image)[0].square().sum().backward()
    for ours, theirs in zip(plain.parameters(), saving.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1])
def test_frozen_stages(frozen_stages):
    model = CBT(SMALL, img_size=64, frozen_stages=frozen_stages).train()
    mean = model.stem[1].running_mean.clone()
    model(torch.randn(2, 3, 64, 64))
    assert torch.equal(model.stem[1].running_mean, mean) == (frozen_stages >= 0)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    for name, stage in (('pos_embed', 0), ('stem.0.weight', 0), ('layers.0.ista.weight', 1),
                        ('layers.1.ista.weight', 2), ('norm.weight', 2)):
        assert (name in frozen) == (frozen_stages >= stage)


@pytest.mark.parametrize('kwargs, message', [
    (dict(arch='huge'), "unknown arch 'huge': choose from tiny, small, base, large"),
    (dict(arch=SMALL | dict(depth=3)), 'arch as a dict must have the keys'),
    (dict(out_indices=(0, 12)), 'out_indices must be indices of the 12 layers, got 12'),
    (dict(out_indices=(-1, 0)), 'out_indices must list layers in ascending order'),
    (dict(stem='flat'), "stem must be one of conv, linear, patch, got 'flat'"),
    (dict(attn_cfg=[dict(type='MSSA')] * 3), 'or one for each of the 12 layers, got 3'),
    (dict(frozen_stages=13), 'frozen_stages must lie between -1 and the 12 layers, got 13'),
])
def test_refuses_bad_arguments(kwargs, message):
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        CBT(**kwargs)


def test_refuses_images_with_other_channels():
    with pytest.raises(ValueError, match=r'in_channels=3 takes images of shape \(B, 3, H, W\)'):
        CBT(SMALL)(torch.randn(1, 4, 64, 64))
