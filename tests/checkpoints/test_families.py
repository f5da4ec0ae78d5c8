"""Released layouts: told apart, measured, checked, mapped and mapped back."""
import numpy as np
import pytest
import released
import released_models as models
import torch

from cbsa_mm.checkpoints import (
    convert,
    describe,
    find_state_dict,
    identify,
    read_checkpoint,
    restore,
)
from cbsa_mm.checkpoints.tables import DEPICT_CA_SEGMENTER

LAYER = 'transformer.layers.0.0.fn'
DEPICT_CA = models.make(
    DEPICT_CA_SEGMENTER, embed_dims=32, num_layers=1, num_tokens=17, num_labels=5, mlp_dims=128,
    patch_size=16, in_channels=3, num_classes=150, decoder_num_layers=2, decoder_inner_dims=300,
    decoder_num_cross_layers=3, decoder_cross_inner_dims=150)


@pytest.mark.parametrize('prefix', ['', 'params/'])
def test_jax_layout_of_crate_alpha(prefix, tmp_path):
    """It becomes what its PyTorch file becomes; a training's file may also have more."""
    weights = released.weights('crate_alpha_classifier')
    arrays = {prefix + name: array
              for name, array in models.crate_alpha_in_jax(weights, 3).items()}
    others = {'opt/1/mu/cls': np.zeros((1, 1, 48), 'V2'), 'opt/0/count': np.int32(7),
              'chrono/accum_train_time': np.float64(1.5)} if prefix else {}
    np.savez(tmp_path / 'x.npz', **{k: v.numpy() for k, v in arrays.items()}, **others)
    converted = convert(find_state_dict(read_checkpoint(tmp_path / 'x.npz')))
    assert released.equal(converted.state_dict, convert(weights).state_dict)
    facts = describe(converted)
    assert facts | dict(num_heads=3, patch_size=16, img_size=(64, 64)) == facts
    assert facts['backbone']['final_norm_eps'] is None
    family, back = restore(converted.state_dict, converted.released)
    assert family.title == 'CRATE-alpha classifier in the JAX layout'
    assert released.equal(back, arrays)


@pytest.mark.parametrize('weights, expected', [
    (models.make_classifier(48, 2, 3, classes=7, side=64, p=5), dict(
        embed_dims=48, num_layers=2, num_heads=3, head_dims=5, num_classes=7, img_size=(64, 64),
        patch_size=16, in_channels=3)),
    (models.make_segmenter(192, 1, 2, side=96, classes=21), dict(
        embed_dims=192, num_layers=1, num_heads=3, head_dims=64, mlp_dims=768, num_classes=21,
        decoder_num_layers=2, decoder_num_heads=3, decoder_head_dims=100, img_size=(96, 96),
        patch_size=16, distilled=False, mean=[127.5] * 3)),
    (models.make_segmenter(192, 1, 2, side=96, distilled=True), dict(
        img_size=(96, 96), distilled=True, mean=[123.675, 116.28, 103.53])),
    (DEPICT_CA, dict(
        head='DEPICTCAHead', decoder_num_cross_layers=3, decoder_cross_head_dims=50)),
])
def test_sizes(weights, expected):
    facts = describe(convert(weights))
    assert facts | expected == facts
    used = [tensor for name, tensor in weights.items() if '.head' not in name and 'running' not in
            name and 'num_batches' not in name]
    assert facts['num_parameters'] == sum(tensor.numel() for tensor in used)


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
    (['to_patch_embedding.proj.0.0.weight', f'{LAYER}.qkv.weight',
      'transformer.layers.6.0.fn.step_rep'], r'hybrid CRATE\+CBT classifier'),
    (['encoder.cls_token', 'decoder.blocks.0.norm1.weight'], 'Segmenter with a mask transformer'),
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


@pytest.mark.parametrize('name, value, message', [
    ('mlp_head.1.bias', None, '1 tensor missing: mlp_head.1.bias'),
    (f'{LAYER}.gate', torch.ones(1), f'1 tensor unknown: {LAYER}.gate'),
    ('transformer.layers.1.1.fn.weight', torch.ones(16, 8),
     r'layers.1.1.fn.weight is \(16, 8\) where the other tensors need \(16, 16\)'),
    ('cls_token', torch.full((1, 1, 16), torch.nan), '1 tensor not finite .*: cls_token'),
])
def test_refuses_weights_that_do_not_fit_together(name, value, message):
    weights = models.make_classifier(16, 2, 2, side=32) | {name: value}
    if value is None:
        del weights[name]
    with pytest.raises(ValueError, match=f'^this is a CBT classifier, but .*{message}'):
        convert(weights)
