"""tools/convert_checkpoint.py: released files in, the same predictions out, and back."""
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import released
import released_models as models
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / 'data/ade/ADEChallengeData2016/images/validation/ADE_val_00000001.jpg'
VARIANT = '''\
net_kwargs:
  d_model: {d}
  image_size: !!python/tuple
  - {side}
  - {side}
  n_heads: {h}
  decoder: {{n_layers: {layers}}}
'''
pytestmark = pytest.mark.e2e


def relative_error(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


def golden(name):
    return released.pick(released.read(name), 'weight.')


def equal(ours, theirs):
    return set(ours) == set(theirs) and all(torch.equal(ours[k], theirs[k]) for k in theirs)


def save_classifier(path, weights, prefix='module.'):
    torch.save(dict(
        epoch=150, arch='CBT', best_acc1=torch.tensor(63.2), optimizer=dict(state={}),
        scheduler=dict(last_epoch=150),
        state_dict={prefix + name: tensor for name, tensor in weights.items()}), path)


def save_segmenter(path, weights, variant=''):
    torch.save(dict(model=weights, optimizer={}, n_cls=150, lr_scheduler={}, epoch=63), path)
    if variant:
        (path.parent / 'variant.yml').write_text(variant)


def build(config, checkpoint):
    """The model of a config with a checkpoint, loaded strictly."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    preprocessor = cfg.get('data_preprocessor', cfg.model.get('data_preprocessor'))
    model = MODELS.build(dict(cfg.model, data_preprocessor=preprocessor)).eval()
    load_checkpoint(model, str(checkpoint), strict=True)
    return cfg, model


@torch.no_grad()
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_golden_classifier(prefix, run_tool, tmp_path):
    numbers, weights = released.read('cbt_classifier'), golden('cbt_classifier')
    save_classifier(tmp_path / 'x.pth.tar', weights, prefix)
    run_tool('convert_checkpoint', 'x.pth.tar', 'cbt.pth', '--config', 'cbt.py')
    _, model = build('cbt.py', 'cbt.pth')
    features = model.extract_feat(numbers['input.image'])
    assert relative_error(model.head(features), numbers['output.logits']) < 1e-5

    run_tool('convert_checkpoint', 'cbt.pth', 'back.pth', '--to', 'official')
    back = torch.load('back.pth', weights_only=True)
    assert equal(back['state_dict'], {prefix + k: v for k, v in weights.items()})


@torch.no_grad()
def test_golden_segmenter(run_tool, tmp_path):
    numbers, weights = released.read('cbt_segmenter'), golden('cbt_segmenter')
    variant = VARIANT.format(d=32, side=256, h=2, layers=3)
    save_segmenter(tmp_path / 'checkpoint.pth', weights, variant)
    run_tool('convert_checkpoint', 'checkpoint.pth', 'cbt.pth', '--config', 'cbt.py')
    cfg, model = build('cbt.py', 'cbt.pth')
    logits = model.encode_decode(numbers['input.image'], [dict(img_shape=(256, 256))])
    assert relative_error(logits[..., ::8, ::8], numbers['output.logits']) < 1e-5

    (tmp_path / 'back').mkdir()
    run_tool('convert_checkpoint', 'cbt.pth', 'back/checkpoint.pth', '--to', 'official')
    back = torch.load('back/checkpoint.pth', weights_only=True)
    assert equal(back['model'], weights)
    assert (tmp_path / 'back/variant.yml').read_text() == variant

    if not IMAGE.exists():
        pytest.skip(f'ADE20K may not be shipped: {IMAGE.relative_to(ROOT)} is not there')
    numbers = released.read('cbt_segmenter_ade1')
    pipeline = Compose([t for t in cfg.test_dataloader.dataset.pipeline
                        if t.type not in ('LoadAnnotations', 'CheckSegLabels')])
    [sample] = model.test_step(pseudo_collate([pipeline(dict(img_path=str(IMAGE)))]))
    clear = numbers['margin.single_scale'] > 1e-3
    assert clear.float().mean() > 0.5
    labels = sample.pred_sem_seg.data[0].byte()
    assert torch.equal(labels[clear], numbers['labels.single_scale'][clear])


FULL = {'t': (192, 12, 3), 's': (384, 12, 6), 'b': (768, 12, 12), 'l': (1024, 24, 16)}


@torch.no_grad()
@pytest.mark.parametrize('size', FULL)
def test_full_size_classifiers(size, run_tool, tmp_path, capsys):
    d, depth, h = FULL[size]
    weights = models.make_classifier(d, depth, h, seed=ord(size))
    save_classifier(tmp_path / 'x.pth.tar', weights)
    run_tool('convert_checkpoint', 'x.pth.tar', 'cbt.pth')
    assert f'configs/cbt/cbt-{size}_in1k.py fits' in capsys.readouterr().out
    _, model = build(ROOT / f'configs/cbt/cbt-{size}_in1k.py', 'cbt.pth')
    image = torch.randn(1, 3, 224, 224)
    theirs = models.classify(weights, image, h)
    ours = model.head(model.extract_feat(image))
    assert relative_error(ours, theirs) < 1e-5
    run_tool('convert_checkpoint', 'cbt.pth', 'back.pth', '--to', 'official')
    back = torch.load('back.pth', weights_only=True)['state_dict']
    assert equal(back, {f'module.{name}': tensor for name, tensor in weights.items()})


@torch.no_grad()
@pytest.mark.parametrize('size, layers, side', [('t', 3, 512), ('s', 3, 512), ('b', 6, 512),
                                                ('l', 9, 640)])
def test_full_size_segmenters(size, layers, side, run_tool, tmp_path, capsys):
    d, depth, h = FULL[size]
    weights = models.make_segmenter(d, depth, layers, side, seed=ord(size))
    save_segmenter(tmp_path / 'checkpoint.pth', weights)
    run_tool('convert_checkpoint', 'checkpoint.pth', 'cbt.pth')
    assert f'configs/cbt/cbt-{size}_ade20k.py fits' in capsys.readouterr().out
    _, model = build(ROOT / f'configs/cbt/cbt-{size}_ade20k.py', 'cbt.pth')
    image = torch.randn(1, 3, side, side)
    ours = model.decode_head(model.extract_feat(image))
    assert relative_error(ours, models.segment(weights, image, h)) < 1e-5
    run_tool('convert_checkpoint', 'cbt.pth', 'back.pth', '--to', 'official')
    assert equal(torch.load('back.pth', weights_only=True)['model'], weights)
