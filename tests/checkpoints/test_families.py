"""Released layouts: told apart, measured, checked, mapped and mapped back."""
import pytest
import released
import released_models as models
import torch

from cbsa_mm.checkpoints import convert, describe, identify, restore

STEM = {'to_patch_embedding.proj.0.0.weight': torch.ones(1)}
LAYER = 'transformer.layers.0.0.fn'


def depict_segmenter(kind):
    """The released decoder's numbers with an encoder that fits."""
    decoder = released.weights(f'depict_{kind}_decoder')
    return {f'decoder.{name}': tensor for name, tensor in decoder.items()} | {
        f'encoder.{name}': tensor for name, tensor in models.make_vit(32, 1, 17).items()}


@pytest.mark.parametrize('weights, library', [
    (depict_segmenter('sa'), None),
    (depict_segmenter('ca'), None),
    (models.make_classifier(48, 2, 3, classes=7, side=64, p=5), 'mmpretrain'),
    (models.make_segmenter(16, 1, 1, side=32, classes=2, distilled=True), 'mmseg'),
    (models.make_vit(16, 2, 18, distilled=True), 'mmpretrain'),
])
def test_round_trip_is_exact(weights, library):
    converted = convert(weights, library)
    family, back = restore(converted.state_dict, converted.released)
    assert family is converted.family
    assert released.equal(back, weights)


@pytest.mark.parametrize('library', ['mmseg', 'mmpretrain'])
@pytest.mark.parametrize('prefix', ['', 'opt/target/'])
def test_jax_layout(prefix, library):
    arrays = models.make_augreg(24, 2, 3, 10)
    arrays = {prefix + name: array for name, array in arrays.items()}
    converted = convert(arrays, library)
    assert converted.sizes['num_heads'] == 3
    # The same weights by timm's names become the same tensors.
    timm = convert(models.make_vit(24, 2, 10), library)
    assert released.equal(converted.state_dict, timm.state_dict)
    family, back = restore(converted.state_dict, converted.released)
    assert family.is_jax
    assert released.equal(back, arrays)


def test_sizes_of_a_classifier():
    facts = describe(convert(models.make_classifier(48, 2, 3, classes=7, side=64, p=5)))
    assert facts | dict(
        embed_dims=48, num_layers=2, num_heads=3, head_dims=5, num_classes=7, img_size=(64, 64),
        patch_size=16, in_channels=3) == facts


@pytest.mark.parametrize('distilled', [False, True])
def test_sizes_of_a_segmenter(distilled):
    weights = models.make_segmenter(192, 1, 2, side=96, classes=21, distilled=distilled)
    facts = describe(convert(weights))
    assert facts | dict(
        embed_dims=192, num_layers=1, num_heads=3, head_dims=64, mlp_dims=768, num_classes=21,
        decoder_num_layers=2, decoder_num_heads=3, decoder_head_dims=100, img_size=(96, 96),
        patch_size=16, distilled=distilled) == facts
    assert facts['mean'] == ([123.675, 116.28, 103.53] if distilled else [127.5] * 3)
    assert facts['num_parameters'] == sum(
        tensor.numel() for name, tensor in weights.items() if '.head' not in name)


@pytest.mark.parametrize('kind', ['sa', 'ca'])
def test_sizes_of_a_depict_segmenter(kind):
    facts = describe(convert(depict_segmenter(kind)))
    expected = dict(head=f'DEPICT{kind.upper()}Head', decoder_num_layers=3, decoder_num_heads=3,
                    decoder_head_dims=100, num_classes=150)
    if kind == 'ca':
        expected |= dict(decoder_num_cross_layers=3, decoder_cross_head_dims=50)
    assert facts | expected == facts


def test_patches_of_crate():
    facts = describe(convert(released.weights('crate_original_classifier')), num_heads=3)
    assert facts | dict(patch_size=16, img_size=(64, 64), stem='linear',
                        attn_cfg=dict(type='MSSA'), head_dims=16) == facts


def test_heads_of_a_vit():
    converted = convert(models.make_vit(32, 1, 5))
    assert describe(converted)['num_heads'] is None
    assert describe(converted, num_heads=4)['head_dims'] == 8
    assert describe(converted, {'n_heads': 2})['num_heads'] == 2
    with pytest.raises(ValueError, match='num_heads is 2 according to the file, not 4'):
        describe(converted, {'n_heads': 2}, num_heads=4)
    with pytest.raises(ValueError, match='5 heads do not divide a width of 32'):
        describe(converted, num_heads=5)


@pytest.mark.parametrize('names, title', [
    ([*STEM, f'{LAYER}.qkv.weight', 'transformer.layers.6.0.fn.step_rep'],
     r'hybrid CRATE\+CBT classifier'),
    (['encoder.cls_token', 'decoder.blocks.0.norm1.weight'], 'Segmenter with a mask transformer'),
    (['encoder.cls_token', 'decoder.head.weight'], 'Segmenter with a linear decoder'),
])
def test_refuses_by_name_what_it_does_not_convert(names, title):
    with pytest.raises(ValueError, match=f'^this is a {title}, which cbsa_mm cannot convert'):
        convert({f'module.{name}': torch.ones(1) for name in names})


def test_refuses_the_unknown():
    with pytest.raises(ValueError, match=r'no known family \(ToST.*, .* are conv1.weight'):
        identify({'conv1.weight': torch.ones(1)})
    with pytest.raises(ValueError, match='not in the layout of cbsa_mm'):
        restore({'conv1.weight': torch.ones(1)})
    with pytest.raises(ValueError, match='a CBT classifier can be converted for mmpretrain, not'):
        convert(models.make_classifier(16, 1, 2, side=32), 'mmseg')


def drop(weights):
    del weights['mlp_head.1.bias']


def add(weights):
    weights['transformer.layers.0.0.fn.gate'] = torch.ones(1)


def round_off(weights):
    weights['cls_token'] = weights['cls_token'].long()


def reshape(weights):
    weights['transformer.layers.1.1.fn.weight'] = torch.ones(16, 8)


def spoil(weights):
    weights['cls_token'][0, 0, 3] = float('nan')


@pytest.mark.parametrize('change, message', [
    (drop, '1 tensor missing: mlp_head.1.bias'),
    (add, '1 tensor unknown: transformer.layers.0.0.fn.gate'),
    (round_off, r'1 tensor not floating-point: cls_token \(torch.int64\)'),
    (reshape, r'layers.1.1.fn.weight is \(16, 8\) where the other tensors need \(16, 16\)'),
    (spoil, r'1 tensor not finite \(NaN or infinite\): cls_token'),
])
def test_refuses_weights_that_do_not_fit_together(change, message):
    weights = models.make_classifier(16, 2, 2, side=32)
    change(weights)
    with pytest.raises(ValueError, match=f'^this is a CBT classifier, but .*{message}'):
        convert(weights)


def test_refuses_heads_that_do_not_divide():
    weights = models.make_classifier(16, 1, 2, side=32, p=7)
    weights['transformer.layers.0.0.fn.step_x'] = torch.ones(3, 1, 1)
    weights['transformer.layers.0.0.fn.step_rep'] = torch.ones(3, 1, 1)
    with pytest.raises(ValueError, match='3 heads do not divide'):
        convert(weights)


def test_refuses_to_restore_what_is_incomplete():
    ours = convert(models.make_segmenter(16, 1, 1, side=32)).state_dict
    del ours['decode_head.class_embed']
    with pytest.raises(ValueError, match='CBT segmenter, but .*missing: decode_head.class_embed'):
        restore(ours)


def test_converting_copies_no_tensor():
    weights = models.make_segmenter(16, 1, 1, side=32)
    ours = convert(weights).state_dict
    pointers = {tensor.data_ptr() for tensor in weights.values()}
    assert all(tensor.data_ptr() in pointers for tensor in ours.values())
