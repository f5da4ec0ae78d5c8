"""The fast forms of CBT: deploy, compiled, in half precision, and what training keeps."""
import oracle
import pytest
import released
import torch
from gradients import assert_same

from cbsa_mm.backbones import CBT

SMALL = dict(embed_dims=32, num_layers=2, num_heads=2)
ATTENTIONS = [
    dict(type='CBSA'), dict(type='MSSA'), dict(type='TSSA'), dict(type='AgentAttention'),
    dict(type='MHSA'), dict(type='CBSA', output='tied'), dict(type='MSSA', output='tied'),
    dict(type='CBSA', representatives='learnable', contraction='inverse', conv_size=3),
    dict(type='CBSA', representatives='fixed', contraction='inverse'),
    dict(type='CBSA', representatives='principal', contraction='inverse'),
    [dict(type='MSSA'), dict(type='CBSA', grid_size=4)],
]
# Relative errors of the class token against float32 that mixed precision may cause. Seen: a third.
TOLERANCES = {torch.bfloat16: 1e-2, torch.float16: 1.5e-3}


def make(**kwargs):
    """A CBT in evaluation mode whose normalisations do something."""
    torch.manual_seed(0)
    model = CBT(SMALL, img_size=64, **kwargs).eval()
    for name, tensor in model.state_dict().items():
        if 'norm' in name or name.startswith(('stem.1.', 'stem.4.', 'stem.7.', 'stem.10.')):
            if tensor.is_floating_point():
                tensor.copy_(1 + 0.3 * torch.rand_like(tensor))
    return model


@pytest.fixture
def image():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_equals_the_plain_form_with_gradients(image):
    model = make().double()
    weights = dict(model.named_parameters()) | dict(model.named_buffers())
    expected = oracle.cbt(image.double(), weights, 2)
    assert_same(model(image.double())[0], expected, model.parameters())


@pytest.mark.parametrize('size, kwargs', [
    (64, dict(stem='linear')), (96, dict(stem='patch')), (96, dict()),
    *((64, dict(attn_cfg=attn_cfg)) for attn_cfg in ATTENTIONS)])
def test_deploy_form_is_the_same_function(size, kwargs):
    model, image = make(**kwargs), torch.randn(2, 3, size, size)
    expected = model(image)[0]
    model.switch_to_deploy()
    assert released.relative_error(model(image)[0], expected) < 1e-5
    fresh = make(deploy=True, **kwargs)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(image)[0], model(image)[0])
    model.switch_to_deploy()  # once more
    assert released.relative_error(model(image)[0], expected) < 1e-5


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision(image, dtype, deploy, autocast):
    model = make()
    expected = model(image)[0]
    if deploy:
        model.switch_to_deploy()
    with autocast(dtype):
        out = model(image)[0].float()
    out.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert released.relative_error(out, expected) < TOLERANCES[dtype]


@pytest.mark.parametrize('attn_cfg', [
    ATTENTIONS[0], *(pytest.param(cfg, marks=pytest.mark.slow) for cfg in ATTENTIONS[1:])])
def test_compiles_without_graph_breaks(image, attn_cfg):
    torch.compiler.reset()
    model = make(grid_offset=1, attn_cfg=attn_cfg)
    compiled = torch.compile(model, backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(image)[0], model(image)[0], rtol=1e-4, atol=1e-4)
    compiled(image)[0].sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_serves_training_after_inference(image):
    model = make()
    with torch.inference_mode():
        model(torch.randn(1, 3, 80, 112))  # a new grid: its pooling is cached from here on
    model(torch.randn(1, 3, 80, 112))[0].sum().backward()
    assert model.cls_token.grad.isfinite().all()


def kept(model, side):
    """Sizes of the tensors, besides parameters, that the backward pass needs for one image."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes = {}

    def keep(tensor):
        pointer = tensor.untyped_storage().data_ptr()
        if pointer not in parameters:
            sizes[pointer] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = model(torch.randn(1, 3, side, side))  # noqa: F841 (keeps its tensors alive)
    return sizes.values()


def test_what_is_kept_grows_linearly_with_the_tokens():
    model = make()
    assert max(kept(model, 1024)) < 4 * (1024 // 16)**4  # no matrix of tokens by tokens
    assert sum(kept(model, 1024)) < 4.2 * sum(kept(model, 512))
