"""Backbones and heads of any sizes and choices: of the right shape, images apart, all trained."""
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import init_default_scope

from cbsa_mm.backbones import CBT, AdaptedViT
from cbsa_mm.decode_heads import CBTMaskTransformerHead, DEPICTCAHead, DEPICTSAHead

ATTENTIONS = [
    dict(type='CBSA', grid_size=2), dict(type='CBSA', contraction='inverse', eps=1.),
    dict(type='CBSA', representatives='learnable', grid_size=2, output='tied'),
    dict(type='CBSA', representatives='fixed', contraction='inverse', conv_size=3),
    dict(type='CBSA', representatives='principal', contraction='inverse'), dict(type='MSSA'),
    dict(type='TSSA'), dict(type='AgentAttention', grid_size=3), dict(type='MHSA'),
    dict(type='AdaptedMHSA', grid_size=2, contraction=True),
]
SIDES = st.integers(1, 40)


@st.composite
def backbones(draw):
    """A backbone of random weights, and its patch size."""
    heads, num_layers = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    patch_size = draw(st.sampled_from([2, 4, 8]))
    arch = dict(embed_dims=8 * heads, num_layers=num_layers, num_heads=heads)
    if draw(st.booleans()):
        arch['head_dims'] = draw(st.integers(1, 5))
    kwargs = dict(
        img_size=(draw(SIDES), draw(SIDES)), patch_size=patch_size,
        out_indices=sorted(draw(st.sets(st.integers(0, num_layers - 1), min_size=1))),
        in_channels=draw(st.integers(1, 4)), grid_offset=draw(st.integers(0, 1)),
        out_type=draw(st.sampled_from(['cls_token', 'featmap', 'raw'])),
        final_norm=draw(st.booleans()), with_cp=draw(st.booleans()))
    torch.manual_seed(draw(st.integers(0, 99)))
    if draw(st.booleans()):
        attn_cfg = [draw(st.sampled_from(ATTENTIONS)) for _ in range(num_layers)]
        stem = draw(st.sampled_from(['conv', 'linear', 'patch']))
        return CBT(arch, attn_cfg=attn_cfg, stem=stem, **kwargs), patch_size
    return AdaptedViT(
        arch, adapted_layers=draw(st.sets(st.integers(0, num_layers - 1))), grid_size=3,
        contraction=draw(st.booleans()), **kwargs), patch_size


@st.composite
def heads(draw):
    """A decode head of random weights."""
    init_default_scope('mmseg')  # where its loss is
    kwargs = dict(in_channels=draw(st.integers(2, 9)), num_classes=draw(st.integers(2, 6)),
                  num_layers=draw(st.integers(1, 2)), num_heads=draw(st.integers(1, 3)),
                  head_dims=draw(st.integers(1, 5)))
    cls = draw(st.sampled_from([CBTMaskTransformerHead, DEPICTSAHead, DEPICTCAHead]))
    if cls is CBTMaskTransformerHead:
        kwargs['attn_cfg'] = draw(st.none() | st.sampled_from(ATTENTIONS))
    elif cls is DEPICTCAHead:
        kwargs |= dict(num_cross_layers=draw(st.integers(1, 2)),
                       cross_head_dims=draw(st.integers(1, 5)))
    torch.manual_seed(draw(st.integers(0, 99)))
    return cls(**kwargs)


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).double()


def assert_sound(model, call, inputs, shapes):
    """Of the right shape; images apart; in deploy form the same; all gradients finite.

    ``call`` gives the outputs of the model, a list.
    """
    for tensor in model.state_dict().values():  # away from the norms' ones and zeros
        if tensor.ndim == 1:
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    model.double().train()
    sum(out.square().sum() for out in call(inputs)).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(grad.isfinite().all() for grad in gradients)

    model.eval()
    outs = call(inputs)
    assert [out.shape for out in outs] == shapes
    assert all(out.isfinite().all() for out in outs)
    alone = [call(image[None]) for image in inputs]
    for out, images in zip(outs, zip(*alone)):
        torch.testing.assert_close(out, torch.cat(images), rtol=1e-7, atol=1e-8)
    model.switch_to_deploy()
    for out, exact in zip(call(inputs), outs):
        torch.testing.assert_close(out, exact, rtol=1e-5, atol=1e-6)


@given(backbones(), st.integers(2, 3), SIDES, SIDES)
def test_backbone(built, batch, height, width):
    (backbone, patch_size), d = built, built[0].embed_dims
    grid = (-(-height // patch_size), -(-width // patch_size))
    shape = {'cls_token': (d, ), 'featmap': (d, *grid), 'raw': (1 + grid[0] * grid[1], d)}
    shapes = [(batch, *shape[backbone.out_type])] * len(backbone.out_indices)
    assert_sound(backbone, backbone, normal(batch, backbone.in_channels, height, width), shapes)


@given(heads(), st.integers(1, 2), st.integers(1, 6), st.integers(1, 6))
def test_head(head, batch, height, width):
    assert_sound(head, lambda features: [head([features])],
                 normal(batch, head.in_channels, height, width),
                 [(batch, head.num_classes, height, width)])
