from functools import partial

import oracle
import pytest
import released
import torch
import torch.nn.functional as F
from gradients import assert_same
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from cbsa_mm.checkpoints import CBT_DECODER, DEPICT_CA_DECODER, DEPICT_SA_DECODER
from cbsa_mm.decode_heads import CBTMaskTransformerHead, DEPICTCAHead, DEPICTSAHead

HEADS = [CBTMaskTransformerHead, DEPICTSAHead, DEPICTCAHead]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def make(head=CBTMaskTransformerHead, **kwargs):
    """A head in evaluation mode whose normalisations do something."""
    torch.manual_seed(0)
    head = head(32, num_classes=7, num_layers=2, head_dims=10, **kwargs).eval()
    for name, parameter in head.named_parameters():
        if 'norm' in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return head


@pytest.mark.released
@pytest.mark.parametrize('name, table, head', [
    ('cbt_decoder', CBT_DECODER, CBTMaskTransformerHead),
    ('depict_sa_decoder', DEPICT_SA_DECODER, DEPICTSAHead),
    ('depict_ca_decoder', DEPICT_CA_DECODER, DEPICTCAHead),
])
def test_parity_with_the_released_decoders(name, table, head):
    golden = released.read(name)
    head = head(32, num_classes=150)
    head.load_state_dict(released.rename(released.pick(golden, 'weight.'), table))
    features = golden['input.tokens'].transpose(1, 2).unflatten(2, (16, 16)).requires_grad_()
    masks = head([features])
    released.agree(f'{name}, masks', released.relative_error(masks, golden['output.masks']), 1e-5)
    if 'input.upstream_grad' not in golden:  # those of DEPICT hold outputs alone
        return

    (masks * golden['input.upstream_grad']).sum().backward()
    grads = released.pick(golden, 'grad.')
    their_input_grad = grads.pop('input')
    grads = released.rename(grads, table)
    assert set(grads) == {name for name, _ in head.named_parameters()}
    errors = [released.relative_error(parameter.grad, grads[name])
              for name, parameter in head.named_parameters()]
    errors.append(released.relative_error(features.grad.flatten(2).mT, their_input_grad))
    released.agree(f'{name}, gradients, the worst', errors, 1e-4)


@pytest.mark.parametrize('num_classes, grid', [(2, (20, 32)), (150, (5, 3))])
@pytest.mark.parametrize('head, kwargs, reference', [
    (CBTMaskTransformerHead, dict(attn_cfg=dict(type='CBSA', grid_size=4)),
     partial(oracle.decoder, grid_size=4)),
    (DEPICTSAHead, dict(), oracle.depict),
    (DEPICTCAHead, dict(num_cross_layers=2, cross_head_dims=5), oracle.depict),
], ids=['CBT', 'DEPICT-SA', 'DEPICT-CA'])
def test_equals_the_equations(head, kwargs, reference, num_classes, grid):
    torch.manual_seed(num_classes)
    head = head(16, num_classes=num_classes, num_layers=2, num_heads=2, head_dims=6,
                **kwargs).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    weights = dict(head.named_parameters())
    features = torch.randn(2, 16, *grid, dtype=torch.double)
    theirs = reference(features, weights, num_heads=2)
    assert_same(head([features]), theirs, weights.values(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize('align_corners', [False, True])
def test_loss_is_cross_entropy_of_the_upsampled_masks(align_corners):
    head = MODELS.build(dict(
        type='CBTMaskTransformerHead', in_channels=16, channels=16, num_classes=7, num_layers=1,
        align_corners=align_corners, loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.5)))
    head.init_weights()
    assert head.class_embed.std() < 0.03 and head.layers[0].attn.step_x.std() > 0.03
    features = [torch.randn(1, 16, 4, 6)]
    labels = torch.randint(7, (1, 64, 96))
    labels[:, 32:] = 255
    data = [SegDataSample(gt_sem_seg=PixelData(data=labels))]
    loss = head.loss(features, data, {})['loss_ce']
    masks = F.interpolate(head(features), (64, 96), mode='bilinear', align_corners=align_corners)
    # mmseg averages over ignored pixels too unless told otherwise (avg_non_ignore).
    expected = F.cross_entropy(masks, labels, ignore_index=255, reduction='sum') / labels.numel()
    torch.testing.assert_close(loss, 0.5 * expected)
    loss.backward()
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize('kwargs, message', [
    (dict(in_channels=[8, 8], in_index=[0, 1], input_transform='multiple_select'),
     "to join several, set input_transform='resize_concat'"),
    (dict(num_layers=0), 'num_layers must be at least 1, got 0'),
    (dict(num_classes=2, out_channels=1), 'for binary segmentation use num_classes=2'),
])
def test_refuses_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        CBTMaskTransformerHead(**dict(in_channels=16, num_classes=5) | kwargs)


def test_refuses_other_features():
    with pytest.raises(ValueError, match=r'takes features of shape \(B, 16, H, W\), got'):
        CBTMaskTransformerHead(16, num_classes=5)([torch.randn(1, 8, 4, 4)])


@pytest.mark.parametrize('kind', HEADS)
def test_deploy_form_is_the_same_function(kind):
    head, features = make(kind), [torch.randn(2, 32, 9, 7)]
    expected = head(features)
    head.switch_to_deploy()
    assert released.relative_error(head(features), expected) < 1e-5
    fresh = make(kind, deploy=True)
    fresh.load_state_dict(head.state_dict())
    assert torch.equal(fresh(features), head(features))


@pytest.mark.parametrize('dtype, tolerance', [(torch.bfloat16, 3e-2), (torch.float16, 3e-3)])
def test_mixed_precision(dtype, tolerance, autocast):
    head, features = make(), [torch.randn(2, 32, 9, 7)]
    expected = head(features)
    with autocast(dtype):
        masks = head(features).float()
    assert masks.isfinite().all()
    assert released.relative_error(masks, expected) < tolerance


@pytest.mark.parametrize('kind', [
    HEADS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in HEADS[1:])])
def test_compiles_without_graph_breaks(kind):
    torch.compiler.reset()
    head, features = make(kind), [torch.randn(2, 32, 9, 7)]
    compiled = torch.compile(head, backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(features), head(features), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('head', ['CBTMaskTransformerHead', 'FCNHead'])
def test_class_weights_beside_ignored_pixels(head):
    weights = [0.5, 1., 2.]
    head = MODELS.build(dict(
        type=head, in_channels=16, channels=16, num_classes=3, dropout_ratio=0.,
        loss_decode=dict(type='WeightedCrossEntropyLoss', avg_non_ignore=True,
                         class_weight=weights)))
    features, labels = [torch.randn(1, 16, 8, 8)], torch.randint(3, (1, 8, 8))
    labels[:, 4:] = 255
    expected = F.cross_entropy(
        head(features), labels, weight=torch.tensor(weights), ignore_index=255)
    data = [SegDataSample(gt_sem_seg=PixelData(data=labels))]
    torch.testing.assert_close(head.loss(features, data, {})['loss_ce'], expected)


@pytest.mark.parametrize('cfg', [
    dict(loss_decode=[dict(type='WeightedCrossEntropyLoss', class_weight=[0.5, 1., 2.]),
                      dict(type='DiceLoss')]),
    dict(loss_decode=dict(type='LovaszLoss', reduction='none')),
    dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10)),
    dict(sampler=dict(type='OHEMPixelSampler', min_kept=10), loss_decode=dict(
        type='WeightedCrossEntropyLoss', avg_non_ignore=True, class_weight=[0.5, 1., 2.])),
])
def test_other_losses_and_hard_example_mining(cfg):
    head = CBTMaskTransformerHead(16, num_classes=3, **cfg)
    labels = torch.randint(3, (1, 8, 8))
    labels[:, 4:] = 255
    data = [SegDataSample(gt_sem_seg=PixelData(data=labels))]
    losses = head.loss([torch.randn(1, 16, 8, 8)], data, {})
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(p.grad.isfinite().all() for p in head.parameters())


def test_attn_cfg_without_type_changes_the_default():
    head = CBTMaskTransformerHead(16, num_classes=3, attn_cfg=dict(grid_size=4))
    assert head.layers[0].attn.representatives.grid_size == 4
    with pytest.warns(UserWarning, match='grid_size=4 exceeds the 3 x 5 grid of tokens.*at most 3'):
        head([torch.randn(1, 16, 3, 5)])
