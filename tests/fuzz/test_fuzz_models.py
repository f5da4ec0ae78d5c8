"""Backbones and heads of any sizes and choices: finite, of the right shape, images apart."""
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
    """A backbone of random weights in evaluation mode, and the patch size."""
    heads, num_layers = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    patch_size = draw(st.sampled_from([2, 4, 8]))
    arch = dict(embed_dims=8 * heads, num_layers=num_layers, num_heads=heads)
    if draw(st.booleans()):
        arch['head_dims'] = draw(st.integers(1, 5))
    out_indices = sorted(draw(st.sets(st.integers(0, num_layers - 1), min_size=1)))
    kwargs = dict(
        img_size=(draw(SIDES), draw(SIDES)), patch_size=patch_size, out_indices=out_indices,
        in_channels=draw(st.integers(1, 4)), grid_offset=draw(st.integers(0, 1)),
        out_type=draw(st.sampled_from(['cls_token', 'featmap', 'raw'])),
        final_norm=draw(st.booleans()), with_cp=draw(st.booleans()))
    torch.manual_seed(draw(st.integers(0, 99)))
    if draw(st.booleans()):
        attn_cfg = [draw(st.sampled_from(ATTENTIONS)) for _ in range(num_layers)]
        stem = draw(st.sampled_from(['conv', 'linear', 'patch']))
        return randomize(CBT(arch, attn_cfg=attn_cfg, stem=stem, **kwargs)), patch_size
    return randomize(AdaptedViT(
        arch, adapted_layers=draw(st.sets(st.integers(0, num_layers - 1))), grid_size=3,
        contraction=draw(st.booleans()), **kwargs)), patch_size


@st.composite
def heads(draw):
    """A decode head of random weights in evaluation mode."""
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
    return randomize(cls(**kwargs))


def randomize(model):
    """Away from the norms' ones and zeros, which hide what is not folded; float64."""
    for tensor in model.state_dict().values():
        if tensor.ndim == 1:
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return model.double().eval()


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).double()


def assert_sound(model, inputs):
    """Finite under autocast, too; images apart; the same in float32 and in deploy form."""
    outs = model(inputs)
    assert all(out.isfinite().all() for out in outs)
    alone = [model(image[None]) for image in inputs]
    for i, out in enumerate(outs):
        torch.testing.assert_close(out, torch.cat([a[i] for a in alone]), rtol=1e-7, atol=1e-8)
    single = model.float()(inputs.float())
    for out, exact in zip(single, outs):
        assert out.dtype == torch.float32 and close(out, exact, 1e-3)
    with torch.autocast('cpu', torch.bfloat16):
        assert all(out.isfinite().all() and out.shape == exact.shape
                   for out, exact in zip(model(inputs.float()), outs))
    model.double().switch_to_deploy()
    for out, exact in zip(model(inputs), outs):
        torch.testing.assert_close(out, exact, rtol=1e-5, atol=1e-6)


def close(out, exact, tolerance):
    return (out - exact).norm() <= tolerance * (1 + exact.norm())


@given(backbones(), st.integers(1, 2), SIDES, SIDES)
def test_backbone(built, batch, height, width):
    backbone, patch_size = built
    grid = (-(-height // patch_size), -(-width // patch_size))
    d = backbone.embed_dims
    shape = {'cls_token': (d, ), 'featmap': (d, *grid), 'raw': (1 + grid[0] * grid[1], d)}
    image = normal(batch, backbone.in_channels, height, width)
    outs = backbone(image)
    assert [out.shape for out in outs] == \
        [(batch, *shape[backbone.out_type])] * len(backbone.out_indices)
    assert_sound(backbone, image)


@given(backbones(), SIDES, SIDES)
def test_backbone_trains(built, height, width):
    """With BatchNorm over the batch, and with recomputation."""
    backbone, _ = built
    backbone.train()
    outs = backbone(normal(2, backbone.in_channels, height, width))
    sum(out.square().sum() for out in outs).backward()
    gradients = [p.grad for p in backbone.parameters() if p.grad is not None]
    assert gradients and all(grad.isfinite().all() for grad in gradients)


@given(heads(), st.integers(1, 2), st.integers(1, 6), st.integers(1, 6))
def test_head(head, batch, height, width):
    features = normal(batch, head.in_channels, height, width)
    assert head([features]).shape == (batch, head.num_classes, height, width)
    assert_sound(Single(head), features)


class Single(torch.nn.Module):
    """A head as a model of one input and several outputs."""

    def __init__(self, head):
        super().__init__()
        self.head = head
        self.switch_to_deploy = head.switch_to_deploy

    def forward(self, features):
        return [self.head([features])]
