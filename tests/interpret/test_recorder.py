import pytest
import released
import timm
import torch
from mmengine.registry import init_default_scope
from mmpretrain.models import VisionTransformer

from cbsa_mm.backbones import CBT, AdaptedViT
from cbsa_mm.checkpoints import CBT_CLASSIFIER, CRATE_STYLE_CLASSIFIER
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
    return CBT(SMALL, img_size=64, attn_cfg=attn_cfg, out_type='raw', **kwargs)


def make_image():
    return torch.randn(2, 3, 64, 80, generator=torch.Generator().manual_seed(1))


def record(model):
    """The layers of a model, recorded for that image, which leaves the model as it is."""
    model.eval()
    expected = model(make_image())
    with Recorder(model) as recorder:
        torch.testing.assert_close(model(make_image()), expected, rtol=0, atol=0)
    torch.testing.assert_close(model(make_image()), expected, rtol=0, atol=0)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    return recorder.layers


@pytest.mark.released
@pytest.mark.parametrize('name, table, attn', [
    ('cbt_classifier', CBT_CLASSIFIER, 'CBSA'),
    ('crate_style_classifier', CRATE_STYLE_CLASSIFIER, 'MSSA')])
def test_attention_of_the_released_classifiers(name, table, attn):
    golden = released.read(name)
    weights = released.rename(released.pick(golden, 'weight.'), table)
    arch = dict(embed_dims=48, num_layers=2, num_heads=3)
    model = CBT(arch, attn_cfg=dict(type=attn)).eval()
    model.load_state_dict(released.pick(weights, 'backbone.'))
    with Recorder(model) as recorder:
        model(golden['input.image'])
    ours, theirs = recorder.layers[-1].trace.rows(), golden['output.attn_last']
    released.agree(f'{name}, attention maps', released.relative_error(ours, theirs), 1e-5)


@pytest.mark.parametrize('attn_cfg', POOLED)
def test_coefficients_and_lazy_rows(attn_cfg):
    for layer in record(make(attn_cfg, grid_offset=1)):
        A = layer.trace.coefficients
        assert A.shape == (2, 3, 4, 21)                               # (B, h, m, N)
        torch.testing.assert_close(A.sum(-1), torch.ones(2, 3, 4))
        index = torch.tensor([0, 7, 20])
        torch.testing.assert_close(layer.trace.rows(index), (A.mT @ A)[:, :, index])
        assert torch.equal(layer.rank(), torch.linalg.matrix_rank(A))


@pytest.mark.parametrize('attn_cfg', SOFTMAX)
def test_rows_of_softmax_attentions(attn_cfg):
    layer = record(make(attn_cfg, grid_offset=1))[0]
    rows = layer.trace.rows()
    torch.testing.assert_close(rows.sum(-1), torch.ones(2, 3, 21))
    torch.testing.assert_close(layer.trace.rows(slice(3, 5)), rows[:, :, 3:5])
    # With the values, they give what the attention does before its output map.
    torch.testing.assert_close(layer.attn.merge_heads(rows @ layer.trace.tokens),
                               layer.attn(layer.x, (4, 5), 1))


def test_rows_of_tssa_are_shared_out_among_the_heads():
    layer = record(make(TSSA))[0]
    w = layer.attn.in_proj(layer.x).unflatten(2, (3, 8))              # (B, N, h, p)
    products = torch.einsum('bihp,bjhp->bhij', w, w).exp()
    expected = products / products.sum(1, keepdim=True)
    torch.testing.assert_close(layer.trace.rows(), expected)
    torch.testing.assert_close(attention_maps(layer, [0, 7]),
                               expected[:, :, [0, 7], 1:].unflatten(3, (4, 5)))


@pytest.mark.parametrize('attn_cfg', OTHERS)
def test_some_attentions_have_no_matrix(attn_cfg):
    layer = record(make(attn_cfg, deploy=True))[0]
    assert all(rates.isfinite().all() for rates in layer.coding_rates().values())
    with pytest.raises(ValueError, match='no token-by-token matrix'):
        layer.trace.rows()


def test_coding_rates_before_and_after_contraction():
    model = make(POOLED[0], grid_offset=1)
    layer, block, kept = record(model)[1], model.layers[1], []
    block.attn.contraction.register_forward_hook(
        lambda module, args, out: kept.extend((*args, out)))
    model(make_image())
    rates = layer.coding_rates()
    for name, z in zip(('representatives', 'representatives_after'), kept):
        torch.testing.assert_close(rates[name], coding_rate(z))
    after = block.attn.in_proj(block.norm1(layer.before + layer.update))
    torch.testing.assert_close(rates['tokens_after'], coding_rate(block.attn.split_heads(after)))
    assert torch.equal(layer.sparsity(), (layer.sparse == 0).float().mean((1, 2)))
    for k in range(3):
        reduction = coding_rate(kept[0][:, k:k + 1]) - coding_rate(kept[1][:, k:k + 1])
        torch.testing.assert_close(layer.reductions()['representatives'][:, k], reduction)


def test_codes_of_odl():
    model = make(POOLED[0], ffn_cfg=dict(type='ODL'))
    layer, odl, kept = record(model)[1], model.layers[1].odl, []
    odl.register_forward_hook(lambda module, args, out: kept.extend((*args, out)))
    model(make_image())
    assert torch.equal(layer.sparse, odl.codes(kept[0])) and layer.sparse.shape[-1] == 4 * 24
    torch.testing.assert_close(layer.sparse @ odl.D1.T, kept[1])
    assert (layer.sparsity() > 0).all()


@pytest.mark.parametrize('library', ['mmpretrain', 'timm'])
def test_plain_vits_of_other_libraries(library):
    """As ours with their weights."""
    if library == 'timm':
        foreign = timm.create_model('vit_tiny_patch16_224', img_size=(64, 80), depth=2,
                                    embed_dim=24, num_heads=3)
    else:
        init_default_scope('mmpretrain')
        foreign = VisionTransformer(SMALL | dict(feedforward_channels=96), img_size=(64, 80))
    ours = AdaptedViT(SMALL, img_size=(64, 80), adapted_layers=[]).eval()
    ours.load_state_dict(foreign.state_dict())
    for theirs, layer in zip(record(foreign), record(ours), strict=True):
        assert theirs.num_extra_tokens == layer.num_extra_tokens == 1
        assert theirs.image_grid == layer.image_grid == (4, 5)
        torch.testing.assert_close(theirs.trace.rows(), layer.trace.rows())


def test_plain_vit_and_segmenter_of_mmseg():
    from mmseg.models import SegmenterMaskTransformerHead
    from mmseg.models import VisionTransformer as ViTOfSeg
    init_default_scope('mmseg')
    head = SegmenterMaskTransformerHead(
        num_layers=1, num_heads=2, embed_dims=24, in_channels=24, channels=24, num_classes=5,
        in_index=0)
    layers = record(torch.nn.Sequential(ViTOfSeg(
        img_size=(64, 80), embed_dims=24, num_layers=2, num_heads=3, out_indices=[1]), head))
    for layer, extra, count in zip(layers, (1, 1, 0), (21, 21, 25)):
        assert (layer.num_extra_tokens, layer.image_grid) == (extra, (4, 5))
        x = layer.x if layer.attn.batch_first else layer.x.transpose(0, 1)
        _, weights = layer.attn(x, x, x, average_attn_weights=False)
        assert weights.shape[2:] == (count, count)
        torch.testing.assert_close(layer.trace.rows(), weights)


def test_refuses_models_without_attention():
    with pytest.raises(ValueError, match='Linear has no attention that can be recorded'):
        Recorder(torch.nn.Linear(2, 2))


def test_maps_lie_on_the_image():
    layer = record(make(POOLED[0]))[1]
    rows = layer.trace.rows()
    places = {(0, 0): 1, (0.3, 0.99): 1 + 5 + 4, (1, 1): 20, (0.5, 0.2): 1 + 2 * 5 + 1}
    assert {place: patch_index(layer, *place) for place in places} == places
    maps = attention_maps(layer, [0, 12])                              # (B, h, 2, 4, 5)
    torch.testing.assert_close(maps, rows[:, :, [0, 12], 1:].unflatten(-1, (4, 5)))
    large = enlarge(maps, (64, 80))
    assert large.shape == (2, 3, 2, 64, 80)
    assert torch.equal(large.amin((3, 4)), torch.zeros(2, 3, 2))
    torch.testing.assert_close(large.amax((3, 4)), torch.ones(2, 3, 2))
