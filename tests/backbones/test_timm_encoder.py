"""Encoders of timm as backbones, small and with random weights."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmseg.structures import SegDataSample
from torch import nn

from cbsa_mm.backbones import TimmEncoder, timm_encoder
from cbsa_mm.backbones.feature_cache import FeatureCache
from cbsa_mm.compat import HAS_TORCH_EXPORT
from cbsa_mm.engine.checks import check_pixels, check_width
from cbsa_mm.errors import UserError
from cbsa_mm.inference import build_model, load_model

timm = pytest.importorskip('timm', reason='timm is not installed')
CONFIGS = Path(__file__).parents[2] / 'configs'
# A ViT, one with registers and LayerScale, and a pyramid; then the real ones.
ENCODERS = ['test_vit', 'test_vit3', 'test_convnext']
LARGE = ['vit_small_patch14_reg4_dinov2', 'vit_small_patch16_dinov3', 'vit_base_patch16_siglip_512',
         'swin_tiny_patch4_window7_224']


def build(model_name='test_vit', pretrained=False, **kwargs):
    torch.manual_seed(0)
    return TimmEncoder(model_name, pretrained=pretrained, **kwargs)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A file of timm's weights for test_vit."""
    file = tmp_path_factory.mktemp('timm') / 'weights.pth'
    torch.manual_seed(1)
    torch.save(timm.create_model('test_vit').state_dict(), file)
    return str(file)


@pytest.mark.parametrize('channels', [1, 6])
@pytest.mark.parametrize('name', [
    *ENCODERS, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def test_any_size_and_every_parameter_takes_part(name, channels):
    pyramid = name in ('test_convnext', 'swin_tiny_patch4_window7_224')
    if pyramid and [*map(int, timm.__version__.split('.')[:3])] < [1, 0, 31]:
        pytest.skip('before timm 1.0.31, Swin takes one size, and ConvNeXt keeps a norm unused')
    levels = (0, 1, 2, 3) if pyramid else (2, -1)
    encoder = build(name, in_channels=channels, out_indices=levels, drop_path_rate=0.1)
    for height, width in ((70, 70), (97, 131)):
        maps = encoder(torch.randn(2, channels, height, width))
        for x, stride, width_of in zip(maps, encoder.strides, encoder.out_channels):
            assert x.shape == (2, width_of, -(-height // stride), -(-width // stride))
    sum(x.square().sum() for x in encoder.eval()(torch.randn(1, channels, 70, 70))).backward()
    assert [key for key, p in encoder.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('name', ENCODERS)
def test_features_are_those_of_timm(name):
    """On a whole number of patches, without the tokens that come first."""
    encoder, image = build(name).eval(), torch.randn(2, 3, 96, 128)
    expected = encoder.encoder.forward_features(image)
    if expected.ndim == 3:
        expected = expected[:, encoder.encoder.num_prefix_tokens:].mT.unflatten(2, (6, 8))
    assert torch.equal(encoder(image)[0], expected)


def test_rotary_embeddings_of_an_export_are_those_of_timm(monkeypatch):
    rope = build('vit_small_patch16_dinov3').encoder.rope.eval()
    expected = rope.get_embed((5, 7))
    monkeypatch.setattr(timm_encoder, 'is_exporting', lambda: True)
    assert torch.equal(rope.get_embed((5, 7)), expected)


def test_a_frozen_encoder_has_no_weights_of_its_own(weights):
    encoder = build(pretrained=weights, frozen=True).train()
    image = torch.randn(2, 3, 70, 80)
    assert not [*encoder.parameters()] and not encoder.state_dict() and not encoder.encoder.training
    encoder.load_state_dict({})  # as of a segmenter's checkpoint
    plain = build(pretrained=weights)
    plain.init_weights()
    features = encoder(image)[0]
    assert torch.equal(features, plain.eval()(image)[0]) and not features.requires_grad
    assert encoder.num_frozen == sum(p.numel() for p in plain.parameters())
    kept = build(pretrained=weights, frozen=True, keep_weights=True)
    assert kept.state_dict().keys() == plain.state_dict().keys()
    kept.load_state_dict(plain.state_dict())
    assert torch.equal(kept(image)[0], features)
    half = build(pretrained=weights, frozen=True, precision='bfloat16')
    half.init_weights()
    low = half(image)[0]
    assert low.dtype == torch.float32 and 0 < (low - features).norm() < 0.05 * features.norm()


def test_weights_of_a_file_adapt_to_channels(weights):
    encoder = build(pretrained=weights, in_channels=6)
    encoder.init_weights()
    one = encoder.encoder.patch_embed.proj.weight
    assert torch.allclose(one[:, :3], one[:, 3:])
    assert torch.allclose(2 * one[:, :3], torch.load(weights)['patch_embed.proj.weight'])


def test_seen_images_are_encoded_once(weights, tmp_path):
    def make(**kwargs):
        encoder = build(pretrained=weights, frozen=True, out_indices=(1, -1), **kwargs,
                        cache_cfg=dict(folder=str(tmp_path / 'features'), gib=1))
        encoder.init_weights()
        encoder.encoder.patch_embed.register_forward_hook(lambda _, args, x: sizes.append(len(x)))
        return encoder

    images, sizes = torch.randn(4, 3, 64, 64), []
    first = make()(images[:3])
    encoder = make()  # of another run
    again = encoder(images[[3, 1, 0]])
    assert sizes == [3, 1]
    assert all(torch.equal(x[1:], y[[1, 0]]) for x, y in zip(again, first))
    encoder.cache.room = 0
    encoder(images + 1), encoder(images + 1)
    assert sizes == [3, 1, 4, 4] and len([*tmp_path.glob('features/*')]) == 4
    make(precision='bfloat16')(images)  # other features
    assert sizes[4:] == [4]


def test_runs_that_encode_the_same_image_at_once(tmp_path, monkeypatch):
    image, save = torch.randn(1, 3, 8, 8), torch.save

    def save_during_another_run(maps, file):
        save(maps, file)
        monkeypatch.setattr(torch, 'save', save)
        run()

    def run():
        return FeatureCache(tmp_path)(lambda image: (image.sum(1), ), image, b'')[0]

    monkeypatch.setattr(torch, 'save', save_during_another_run)
    assert torch.equal(run(), run())
    assert len([*tmp_path.iterdir()]) == 1


@pytest.mark.parametrize('stages', [0, 2])
def test_partial_freezing_and_depths(stages):
    encoder = build(frozen_stages=stages, drop_path_rate=0.1, with_cp=True)
    encoder.train()
    depths = {key: encoder.get_layer_depth(key) for key, _ in encoder.named_parameters()}
    assert depths['encoder.pos_embed'] == (0, 8) and depths['encoder.blocks.5.norm1.bias'] == (6, 8)
    assert encoder.get_layer_depth('decode_head.x', 'backbone.') == (7, 8)
    for key, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (depths[key][0] > stages)
    modes = [block.training for block in encoder.encoder.blocks]
    assert modes == [i >= stages for i in range(6)] and not encoder.encoder.patch_embed.training
    encoder(torch.randn(1, 3, 64, 64))[0].sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize('kwargs, message', [
    (dict(model_name='vit_small_patch14_dinov22'), 'did you mean vit_small_patch14_dinov2'),
    (dict(model_name='test_vit.r161_in1k'), 'Invalid pretrained tag .* mean test_vit.r160_in1k'),
    (dict(frozen=True, pretrained=True, drop_path_rate=0.1), 'drop_path_rate: no use with frozen='),
    (dict(precision='bfloat16'), 'precision: no use with frozen=False'),
    (dict(frozen=True, pretrained=True, precision='int8'), "precision must be one of .* 'int8'"),
    (dict(frozen=True), 'the random weights would be lost'),
    (dict(out_indices=(3, 9)), r'some of the 6 blocks or stages, got \(3, 9\)'),
])
def test_refuses_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_refuses_weights_and_images(weights, monkeypatch):
    with pytest.raises(UserError, match='in_channels=3 takes images of shape'):
        build()(torch.zeros(1, 4, 64, 64))
    for name, file in (('test_vit3', weights), ('test_vit', 'none.pth')):
        with pytest.raises(UserError, match=f"the weights of {name} can't be loaded .*{file} of"):
            build(name, pretrained=file, frozen=True).load_state_dict({})
    encoder, create = build(pretrained=True, frozen=True), timm.create_model

    def offline(*args, pretrained=False, **kwargs):
        if pretrained:
            raise OSError('no route to host')
        return create(*args, **kwargs)

    monkeypatch.setattr(timm, 'create_model', offline)
    with pytest.raises(UserError, match='no route to host.*model.backbone.pretrained=FILE'):
        encoder.init_weights()


def read(name, weights, **backbone):
    """The config of a frozen encoder with the smallest ViT."""
    cfg = Config.fromfile(CONFIGS / f'foundation/{name}.py')
    cfg.merge_from_dict(dict(model=dict(
        data_preprocessor=dict(size=(64, 64), mean=[127.5] * 3, std=[127.5] * 3),
        backbone=dict(model_name='test_vit', img_size=(64, 64), pretrained=weights, **backbone),
        decode_head=dict(in_channels=64, num_layers=1, num_classes=6, attn_cfg=dict(grid_size=4)),
        test_cfg=dict(crop_size=(64, 64), stride=(48, 48)))))
    return cfg


@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_predicts_images_of_different_sizes(mode, weights):
    cfg = read('dinov3-b_frozen_ade20k', weights)
    cfg.model.test_cfg.mode = mode
    model = load_model(cfg, 'none')
    for size in ((70, 90), (91, 75)):
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        [found] = model.test_step(dict(
            inputs=[torch.randint(256, (3, *size))], data_samples=[sample]))
        assert found.pred_sem_seg.shape == size


@pytest.mark.parametrize('change, message', [
    (dict(data_preprocessor=dict(mean=[123.675, 116.28, 103.53])), r'set mean=\[127.5, 127.5, 127'),
    (dict(data_preprocessor=dict(mean=None, std=None)), 'were normalised otherwise'),
    (dict(decode_head=dict(in_channels=48)), 'in_channels=48, but the features .* have 64'),
    (dict(decode_head=dict(in_index=1)), 'in_index=1 of the head, but the backbone gives 1'),
])
def test_refuses_a_preprocessor_or_head_for_others(change, message, weights):
    cfg = read('dinov3-b_frozen_ade20k', weights)
    check_width(build_model(cfg)), check_pixels(build_model(cfg))
    cfg.merge_from_dict(dict(model=change))
    model = build_model(cfg)
    with pytest.raises(UserError, match=message):
        check_width(model), check_pixels(model)


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('foundation/*.py')), ids=lambda x: x.stem)
def test_configs_normalise_as_the_encoder_was_trained(path):
    cfg = Config.fromfile(path)
    init_default_scope('mmseg')
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model.backbone)
    model = nn.Module()
    model.backbone = backbone
    model.data_preprocessor = MODELS.build(cfg.model.data_preprocessor)
    check_pixels(model)
    assert backbone.pretrained is True and timm.is_model_pretrained(backbone.model_name)


def test_trains_resumes_exports_and_predicts(weights, run_tool):
    """The decoder's checkpoint is small, and the encoder comes from its file again."""
    cfg = read('dinov2-s_frozen_ade20k', weights)
    shapes = Config.fromfile(CONFIGS / 'cbt/cbt-t_shapes.py')
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[key] = shapes[key]
        cfg[key].update(batch_size=2, num_workers=0, persistent_workers=False)
        cfg[key].dataset.num_images = 4
    cfg.train_cfg.update(max_iters=4, val_interval=4)
    cfg.param_scheduler = shapes.param_scheduler
    cfg.default_hooks.checkpoint.update(interval=2)
    cfg.dump('small.py')
    run_tool('train', 'small.py', '--work-dir', 'whole')
    trained = torch.load('whole/iter_4.pth', weights_only=True)
    assert all(key.startswith('decode_head.') for key in trained['state_dict'])
    assert len(trained['optimizer']['param_groups'][0]['params']) == len(trained['state_dict'])
    model = load_model(cfg, 'whole/iter_4.pth')
    given = torch.load(weights)
    assert all(torch.equal(tensor, given[key])
               for key, tensor in model.backbone.encoder.named_buffers())

    run_tool('train', 'small.py', '--work-dir', 'parts', '--resume', 'whole/iter_2.pth')
    resumed = torch.load('parts/iter_4.pth', weights_only=True)['state_dict']
    assert all(torch.equal(resumed[key], tensor) for key, tensor in trained['state_dict'].items())
    run_tool('test', 'small.py', 'whole/iter_4.pth')
    if not HAS_TORCH_EXPORT:
        pytest.skip('the exporter of this PyTorch lacks antialiased resizing')
    run_tool('export', 'small.py', 'whole/iter_4.pth', '--out', 'small.onnx')
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession('small.onnx')
    assert json.loads(session.get_modelmeta().custom_metadata_map['metadata.json'])['mean'] == [
        127.5] * 3
    image = np.random.default_rng(0).normal(size=(1, 3, 97, 70)).astype(np.float32)
    assert session.run(None, dict(image=image))[0].shape == (1, 6, 97, 70)
