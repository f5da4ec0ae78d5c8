import pytest
import released
import torch
from mmengine.registry import init_default_scope

from cbsa_mm.backbones import CBT, AdaptedViT
from cbsa_mm.checkpoints import CBT_CLASSIFIER, CRATE_STYLE_CLASSIFIER, Table
from cbsa_mm.interpret import Recorder, attention_maps, coding_rate, enlarge, patch_index

SMALL = dict(embed_dims=24, num_layers=2, num_heads=3)
POOLED = [dict(type='CBSA', grid_size=2), dict(type='CBSA', grid_size=2, contraction='inverse'),
          dict(type='CBSA', grid_size=2, representatives='learnable')]
SOFTMAX = [dict(type='MSSA'), dict(type='MHSA'), dict(type='AgentAttention', grid_size=2),
           dict(type='AdaptedMHSA', grid_size=2)]
TSSA = dict(type='TSSA')
OTHERS = [dict(type='LinearAttention'),
          dict(type='CBSA', representatives='fixed', contraction='inverse'),
          dict(type='CBSA', representatives='principal', contraction='inverse')]


def make(attn_cfg, **kwargs):
    torch.manual_seed(0)
    return CBT(SMALL, img_size=64, attn_cfg=attn_cfg, out_type='raw', **kwargs).eval()


@pytest.fixture
def image():
    return torch.randn(2, 3, 64, 80, generator=torch.Generator().manual_seed(1))


@pytest.mark.released
@pytest.mark.parametrize('name, table, attn', [
    ('cbt_classifier', CBT_CLASSIFIER, 'CBSA'),
    ('crate_style_classifier', CRATE_STYLE_CLASSIFIER, 'MSSA')])
def test_attention_of_the_released_classifiers(name: str, table: Table, attn: str):
    golden = released.read(name)
    weights = released.rename(released.pick(golden, 'weight.'), table)
    arch = dict(embed_dims=48, num_layers=2, num_heads=3)
    model = CBT(arch, attn_cfg=dict(type=attn)).eval()
    model.load_state_dict(released.pick(weights, 'backbone.'))
    with Recorder(model) as recorder:
        model(golden['input.image'])
    ours, theirs = recorder.layers[-1].trace.rows(), golden['output.attn_last']
    released.agree(f'{name}, attention maps', released.relative_error(ours, theirs), 1e-5)


@pytest.mark.parametrize('attn_cfg', [*POOLED, *SOFTMAX, TSSA, *OTHERS])
@pytest.mark.parametrize('deploy', [False, True])
def test_leaves_the_model_as_it_is(image, attn_cfg, deploy):
    model = make(attn_cfg, deploy=deploy)
    expected = model(image)[0]
    with Recorder(model) as recorder:
        assert torch.equal(model(image)[0], expected)
        assert all(rates.isfinite().all() for layer in recorder.layers
                   for rates in layer.coding_rates().values())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(model(image)[0], expected)


@pytest.mark.parametrize('attn_cfg', POOLED)
def test_coefficients_and_lazy_rows(image, attn_cfg):
    model = make(attn_cfg, grid_offset=1)
    with Recorder(model) as recorder:
        model(image)
    for layer in recorder.layers:
        A = layer.trace.coefficients                                  # (B, h, m, N)
        assert A.shape == (2, 3, 4 if 'learnable' in str(attn_cfg) else A.shape[2], 21)
        torch.testing.assert_close(A.sum(-1), torch.ones(A.shape[:-1]))
        index = torch.tensor([0, 7, 20])
        torch.testing.assert_close(layer.trace.rows(index), (A.mT @ A)[:, :, index])


@pytest.mark.parametrize('attn_cfg', SOFTMAX)
def test_rows_of_softmax_attentions_sum_to_one(image, attn_cfg):
    model = make(attn_cfg, grid_offset=1)
    with Recorder(model) as recorder:
        model(image)
    trace = recorder.layers[0].trace
    rows = trace.rows(slice(3, 5))
    torch.testing.assert_close(rows.sum(-1), torch.ones(2, 3, 2))
    torch.testing.assert_close(rows, trace.rows()[:, :, 3:5])
    # With the values, they give what the attention does before its output map.
    attn, x = recorder.layers[0].attn, recorder.layers[0].x
    torch.testing.assert_close(attn.merge_heads(trace.rows() @ trace.tokens),
                               attn(x, (4, 5), 1))


def test_rows_of_tssa_are_shared_out_among_the_heads(image):
    model = make(TSSA)
    with Recorder(model) as recorder:
        model(image)
    layer = recorder.layers[0]
    w = layer.attn.in_proj(layer.x).unflatten(2, (3, 8))              # (B, N, h, p)
    products = torch.einsum('bihp,bjhp->bhij', w, w).exp()
    expected = products / products.sum(1, keepdim=True)
    torch.testing.assert_close(layer.trace.rows(), expected)
    torch.testing.assert_close(attention_maps(layer, [0, 7]),
                               expected[:, :, [0, 7], 1:].unflatten(3, (4, 5)))


@pytest.mark.parametrize('attn_cfg', OTHERS)
def test_some_attentions_have_no_matrix(image, attn_cfg):
    model = make(attn_cfg)
    with Recorder(model) as recorder:
        model(image)
    with pytest.raises(ValueError, match='no token-by-token matrix'):
        recorder.layers[0].trace.rows()


def test_representatives_before_and_after_contraction(image):
    model = make(POOLED[0], grid_offset=1)
    kept = []
    contraction = model.layers[1].attn.contraction
    contraction.register_forward_hook(lambda module, args, out: kept.append((args[0], out)))
    with Recorder(model) as recorder:
        model(image)
    layer = recorder.layers[1]
    rates = layer.coding_rates()
    for name, z in zip(('representatives', 'representatives_after'), kept[0]):
        torch.testing.assert_close(rates[name], coding_rate(z))
    block, attn = model.layers[1], model.layers[1].attn
    after = attn.split_heads(attn.in_proj(block.norm1(layer.before + layer.update)))
    torch.testing.assert_close(rates['tokens_after'], coding_rate(after))
    assert torch.equal(layer.sparsity(), (layer.sparse == 0).float().mean((1, 2)))


def test_reductions_by_head(image):
    model = make(POOLED[0])
    with Recorder(model) as recorder:
        model(image)
    for layer in recorder.layers:
        inside, reductions = layer.trace, layer.reductions()
        compressed = inside.coefficients.mT @ inside.contracted
        for k in range(3):
            for name, before, after in (
                    ('tokens', inside.tokens, compressed),
                    ('representatives', inside.representatives, inside.contracted)):
                expected = coding_rate(before[:, k:k + 1]) - coding_rate(after[:, k:k + 1])
                torch.testing.assert_close(reductions[name][:, k], expected)


def test_ranks_steps_and_overlaps(image):
    model = make(POOLED[0])
    with Recorder(model) as recorder:
        model(image)
    for layer in recorder.layers:
        assert torch.equal(layer.rank(), torch.linalg.matrix_rank(layer.trace.coefficients))
        steps = layer.step_sizes()
        assert steps['step_rep'].tolist() == layer.attn.step_rep.flatten().tolist()
        assert steps['step_x'].tolist() == layer.attn.step_x.flatten().tolist()
        torch.testing.assert_close(layer.overlap().diagonal(), torch.ones(3))
    with Recorder(make(dict(type='MHSA'))) as recorder:
        recorder.layers[0].x = torch.randn(1, 21, 24)
    layer = recorder.layers[0]
    assert (layer.rank(), layer.step_sizes(), layer.overlap()) == (None, {}, None)


def test_records_the_last_pass(image):
    model = make(POOLED[0])
    with Recorder(model) as recorder:
        model(image)
        first = recorder.layers[0].trace.tokens
        model(2 * image)
    assert not torch.equal(recorder.layers[0].trace.tokens, first)


def assert_same_attention(foreign, arch, image):
    """Between a ViT of another library and ours with its weights."""
    ours = AdaptedViT(arch, img_size=(64, 80), adapted_layers=[]).eval()
    ours.load_state_dict(foreign.state_dict())
    rows = []
    for model in (foreign, ours):
        with Recorder(model) as recorder:
            model(image)
        assert [layer.num_extra_tokens for layer in recorder.layers] == [1, 1]
        assert [layer.image_grid for layer in recorder.layers] == [(4, 5)] * 2
        rows.append([layer.trace.rows() for layer in recorder.layers])
    torch.testing.assert_close(*rows)


def test_plain_vit_of_mmpretrain(image):
    from mmpretrain.models import VisionTransformer
    init_default_scope('mmpretrain')
    foreign = VisionTransformer(SMALL | dict(feedforward_channels=96), img_size=(64, 80))
    foreign.eval()
    assert_same_attention(foreign, SMALL, image)


def test_plain_vit_of_timm(image):
    timm = pytest.importorskip('timm', reason='timm is not installed')
    foreign = timm.create_model('vit_tiny_patch16_224', img_size=(64, 80), depth=2).eval()
    assert_same_attention(foreign, dict(embed_dims=192, num_layers=2, num_heads=3), image)


def test_plain_vit_and_segmenter_of_mmseg(image):
    from mmseg.models import SegmenterMaskTransformerHead, VisionTransformer
    init_default_scope('mmseg')
    head = SegmenterMaskTransformerHead(
        num_layers=1, num_heads=2, embed_dims=24, in_channels=24, channels=24, num_classes=5,
        in_index=0)
    model = torch.nn.Sequential(VisionTransformer(
        img_size=(64, 80), embed_dims=24, num_layers=2, num_heads=3, out_indices=[1]), head).eval()
    expected = model(image)
    with Recorder(model) as recorder:
        assert torch.equal(model(image), expected)
    assert torch.equal(model(image), expected)
    for layer, extra, count in zip(recorder.layers, (1, 1, 0), (21, 21, 25)):
        assert (layer.num_extra_tokens, layer.image_grid) == (extra, (4, 5))
        x = layer.x if layer.attn.batch_first else layer.x.transpose(0, 1)
        _, weights = layer.attn(x, x, x, average_attn_weights=False)
        assert weights.shape[2:] == (count, count)
        torch.testing.assert_close(layer.trace.rows(), weights)


def test_refuses_models_without_attention():
    with pytest.raises(ValueError, match='Linear has no attention that can be recorded'):
        Recorder(torch.nn.Linear(2, 2))


def test_maps_lie_on_the_image(image):
    model = make(POOLED[0], grid_offset=0)  # pooled from the class token on, as released
    with Recorder(model) as recorder:
        model(image)
    layer = recorder.layers[1]
    rows = layer.trace.rows()
    places = {(0, 0): 1, (0.3, 0.99): 1 + 5 + 4, (1, 1): 20, (0.5, 0.2): 1 + 2 * 5 + 1}
    assert {place: patch_index(layer, *place) for place in places} == places
    maps = attention_maps(layer, [0, 12])                              # (B, h, 2, 4, 5)
    torch.testing.assert_close(maps, rows[:, :, [0, 12], 1:].unflatten(-1, (4, 5)))
    large = enlarge(maps, (64, 80))
    assert large.shape == (2, 3, 2, 64, 80)
    assert torch.equal(large.amin((3, 4)), torch.zeros(2, 3, 2))
    torch.testing.assert_close(large.amax((3, 4)), torch.ones(2, 3, 2))
