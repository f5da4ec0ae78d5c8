"""Exported models beside PyTorch, small and with random weights."""
import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from cbsa_mm.compat import HAS_TORCH_EXPORT
from cbsa_mm.datasets.shapes import PALETTE, SHAPES, render
from cbsa_mm.errors import UserError
from cbsa_mm.inference import export, load_model, read_image
from cbsa_mm.inference.export import ImageToLogits, export_file

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs/cbt'
ARCH = dict(embed_dims=16, num_layers=1, num_heads=2)
SMALL = {
    'cbt-t_shapes': dict(
        backbone=dict(arch=ARCH, img_size=64),
        decode_head=dict(in_channels=16, num_layers=1, head_dims=8)),
    'cbt-t_shapes-cls': dict(backbone=dict(arch=ARCH, img_size=64), head=dict(in_channels=16)),
}
SIZES = [(1, 64, 64), (3, 48, 112), (1, 61, 83), (2, 128, 48)]
FORMATS = ['onnx', 'torchscript', pytest.param('torch-export', marks=pytest.mark.skipif(
    not HAS_TORCH_EXPORT, reason='torch.export is used from PyTorch 2.7 on'))]
pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')


def make_config(base='cbt-t_shapes-cls'):
    cfg = Config.fromfile(CONFIGS / f'{base}.py')
    cfg.merge_from_dict(dict(model=SMALL[base]))
    return cfg


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A model's file, written once, as ``exported(base, fmt)``."""

    @lru_cache
    def write(base, fmt):
        path = tmp_path_factory.mktemp('exported') / f'{base}{export.EXPORTS[fmt]}'
        errors = export_file(make_config(base), 'none', path, fmt)
        assert list(errors) == [(2, 64, 64), (1, 49, 83)]
        assert max(errors.values()) < 1e-5
        return path

    return write


@torch.no_grad()
def assert_same_logits(run, cfg, sizes):
    function = ImageToLogits(load_model(cfg, 'none'))
    for batch, height, width in sizes:
        image = torch.randn(batch, 3, height, width)
        expected, logits = function(image), run(image)
        assert logits.shape == expected.shape
        assert logits.shape[2:] in ((), image.shape[2:])
        assert (logits - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize('fmt', FORMATS)
@pytest.mark.parametrize('base', [
    'cbt-t_shapes-cls', pytest.param('cbt-t_shapes', marks=pytest.mark.slow)])
def test_logits_at_several_sizes(base, fmt, exported):
    _, read = export.FORMATS[fmt]
    assert_same_logits(read(exported(base, fmt)), make_config(base), SIZES)


@pytest.mark.slow
@pytest.mark.parametrize('fmt', FORMATS)
def test_fixed_size(fmt, tmp_path):
    path, cfg = tmp_path / f'model{export.EXPORTS[fmt]}', make_config()
    errors = export_file(cfg, 'none', path, fmt, size=(48, 64), fixed_size=True)
    assert list(errors) == [(2, 48, 64), (1, 48, 64)]
    _, read = export.FORMATS[fmt]
    run = read(path)
    assert_same_logits(run, cfg, [(1, 48, 64), (3, 48, 64)])
    with pytest.raises(Exception, match='48|64'):  # each runtime's own, naming a size
        run(torch.zeros(1, 3, 64, 48))


@pytest.fixture
def image(tmp_path):
    Image.fromarray(render(0, 0, 64, 4)[0]).save(tmp_path / 'shapes.png')
    return tmp_path / 'shapes.png'


@torch.no_grad()
def run_example(path, base, image, *arguments):
    """What the example prints where PyTorch and OpenMMLab can't be imported, and our logits."""
    missing = ['torch', 'mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'cbsa_mm']
    script = ROOT / 'examples/run_onnx.py'
    code = (f'import runpy, sys; sys.modules.update(dict.fromkeys({missing})); '
            f'sys.argv[0] = {str(script)!r}; runpy.run_path(sys.argv[0])')
    result = subprocess.run([sys.executable, '-c', code, path, image, *arguments],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    cfg = make_config(base)
    model = load_model(cfg, 'none')
    return result.stdout, ImageToLogits(model)(read_image(cfg, model, image)[0])[0]


@pytest.mark.slow
def test_example_segments(exported, image, tmp_path):
    _, logits = run_example(
        exported('cbt-t_shapes', 'onnx'), 'cbt-t_shapes', image, tmp_path / 'labels.png')
    with Image.open(tmp_path / 'labels.png') as labels:
        colour, labels = labels.convert('RGB').getpixel((0, 0)), np.array(labels)
    assert (labels != logits.argmax(0).numpy()).mean() < 1e-3  # where two classes are on a par
    assert list(colour) == PALETTE[labels[0, 0]]


def test_example_classifies(exported, image):
    output, logits = run_example(
        exported('cbt-t_shapes-cls', 'onnx'), 'cbt-t_shapes-cls', image)
    score, name = output.splitlines()[0].split()
    assert name == SHAPES[logits.argmax()]
    assert float(score) == pytest.approx(logits.softmax(0).max().item(), abs=1e-4)


def test_tool(run_tool, capsys):
    options = ['model.backbone.arch.embed_dims=16', 'model.backbone.arch.num_heads=2',
               'model.head.in_channels=16']
    run_tool('export', CONFIGS / 'cbt-t_shapes-cls.py', 'none', '--format', 'torchscript',
             '--size', 32, 40, '--cfg-options', *options)
    assert 'cbt-t_shapes-cls.pt takes any batch, height and width' in capsys.readouterr().out
    files = {'metadata.json': ''}
    torch.jit.load('cbt-t_shapes-cls.pt', _extra_files=files)
    metadata = json.loads(files['metadata.json'])
    pipeline = metadata.pop('test_pipeline')
    assert [step['type'] for step in pipeline] == ['LoadImageFromFile', 'PackInputs']
    assert metadata == dict(
        task='classification', channel_order='RGB', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], size=[32, 40], fixed_size=False, classes=list(SHAPES),
        palette=PALETTE[1:], config='cbt-t_shapes-cls.py')


def refuse(tmp_path, match, fmt='torchscript', cfg=None, name=None, **kwargs):
    with pytest.raises(UserError, match=match):
        export_file(cfg or make_config(), 'none', tmp_path / (name or f'a{export.EXPORTS[fmt]}'),
                    fmt, **kwargs)
    assert not list(tmp_path.iterdir())


def test_mistakes_end_with_one_message(tmp_path, monkeypatch):
    refuse(tmp_path, 'files of the format torchscript end with .pt, .*model.onnx does not',
           name='model.onnx')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    refuse(tmp_path, 'needs more libraries: pip install onnx onnxruntime', 'onnx')


def test_refuses_other_logits(tmp_path, monkeypatch):
    def switch_and_spoil(model):
        model.head.fc.bias.data += 0.01

    monkeypatch.setattr(export, 'switch_to_deploy', switch_and_spoil)
    refuse(tmp_path, 'at 64 x 64 pixels the logits of the exported model differ by a relative')


def test_refuses_what_holds_for_the_example_alone(tmp_path):
    cfg = make_config('cbt-t_shapes')
    # It leaves its position embeddings as they are where the sizes of the example are equal.
    cfg.model.backbone = dict(
        ARCH, type='VisionTransformer', img_size=(64, 64), patch_bias=True, final_norm=True)
    refuse(tmp_path, 'Try --fixed-size', cfg=cfg)
