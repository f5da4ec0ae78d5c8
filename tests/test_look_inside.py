"""The tools that look inside models, on small ones with random weights."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from cbsa_mm.datasets.shapes import render
from cbsa_mm.engine.model import build_model, read_image

CONFIGS = Path(__file__).parents[1] / 'configs'
SMALL = '''
_base_ = {base!r}
model = dict(
    backbone=dict(
        arch=dict(embed_dims=16, num_layers=2, num_heads=2), img_size=64,
        attn_cfg=dict(type={attn!r})),
    {head}=dict(in_channels=16))
val_dataloader = dict(dataset=dict(num_images=3))
test_dataloader = val_dataloader
'''
pytestmark = pytest.mark.e2e


@pytest.fixture
def make(tmp_path):
    """Writes a config and a checkpoint of random weights, as ``make(base, attn)``."""

    def write(base, attn='CBSA'):
        config, checkpoint = tmp_path / f'{base}_{attn}.py', tmp_path / f'{base}_{attn}.pth'
        head = 'head' if base.endswith('cls') else 'decode_head'
        config.write_text(SMALL.format(base=str(CONFIGS / f'cbt/{base}.py'), attn=attn, head=head))
        torch.save(dict(state_dict=build_model(Config.fromfile(config)).state_dict()), checkpoint)
        return config, checkpoint

    return write


@pytest.fixture
def image(tmp_path):
    Image.fromarray(render(0, 0, 64, 4)[0]).save(tmp_path / 'shapes.png')
    return tmp_path / 'shapes.png'


def test_attention_maps_of_several_models(make, image, run_tool):
    models = [*make('cbt-t_shapes'), *make('cbt-t_shapes-cls', 'MHSA')]
    run_tool('attention_map', image, *models, '--layers', 0, -1, '--places', '0.2,0.9')
    with Image.open('attention.png') as picture:
        assert min(picture.size) > 400
        assert len(picture.convert('RGB').getcolors(2**24)) > 1000  # something is drawn


def test_attention_maps_of_classes(make, image, run_tool, capsys):
    run_tool('attention_map', image, *make('cbt-t_shapes'), '--part', 'decode_head', '--classes',
             'star', 'ring', '--out', 'classes.png')
    assert 'The picture is classes.png' in capsys.readouterr().out
    assert Path('classes.png').stat().st_size > 10_000


@pytest.mark.parametrize('arguments, message', [
    (['--layers', '2'], 'has 2 layers that can be recorded in its backbone, and no layer 2'),
    (['--places', '2,0'], '--places takes shares .* not 2,0'),
    (['--part', 'decode_head', '--classes', 'cat'], 'cat: no class of the model, which are back'),
])
def test_attention_maps_refuse(arguments, message, make, image, run_tool):
    with pytest.raises(SystemExit, match=message):
        run_tool('attention_map', image, *make('cbt-t_shapes'), *arguments)
    assert not Path('attention.png').exists()


def test_attention_maps_need_an_image(make, tmp_path, run_tool):
    (tmp_path / 'text.png').write_text('no image')
    for name, message in (('text.png', 'is no image that can be read'),
                          ('none.png', 'there is no image none.png')):
        with pytest.raises(SystemExit, match=message):
            run_tool('attention_map', name, *make('cbt-t_shapes'))


@pytest.mark.parametrize('base', ['cbt-t_shapes', 'cbt-t_shapes-cls'])
def test_the_image_shown_is_the_one_that_is_read(base, make, image):
    cfg = Config.fromfile(make(base)[0])
    inputs, shown = read_image(cfg, build_model(cfg), image)
    assert inputs.shape == (1, 3, 64, 64)
    np.testing.assert_array_equal(shown, render(0, 0, 64, 4)[0])  # RGB


@pytest.mark.parametrize('what', ['compression', 'reduction'])
def test_probe(what, make, run_tool):
    config, checkpoint = make('cbt-t_shapes')
    run_tool('probe', config, checkpoint, config, 'none', '--num', 2, '--json', 'rates.json',
             '--what', what)
    results = json.loads(Path('rates.json').read_text())
    assert list(results) == ['cbt-t_shapes_CBSA', 'cbt-t_shapes_CBSA, random weights']
    rates = ['tokens', 'tokens_after', 'representatives', 'representatives_after']
    for curves in results.values():
        assert set(curves) == {
            *rates, *(f'normalized_{name}' for name in rates), 'sparsity',
            'reduction_of_tokens', 'reduction_of_representatives'}
        for values in curves.values():
            assert len(values['mean']) == len(values['std']) == 2
        assert all(0 < share < 1 for share in curves['sparsity']['mean'])
        assert all(len(heads) == 2 for heads in curves['reduction_of_tokens']['mean'])
    with Image.open(f'{what}.png') as picture:
        assert picture.width > 900


def test_probe_needs_representatives_for_their_reduction(make, run_tool):
    with pytest.raises(SystemExit, match='no reduction to draw'):
        run_tool('probe', *make('cbt-t_shapes', 'MSSA'), '--num', 1, '--what', 'reduction')


@pytest.mark.parametrize('arguments', [[], ['--lines', 3, '--at-once']])
def test_synthetic_compression(arguments, run_tool):
    run_tool('synthetic', *arguments, '--json', 'rates.json')
    results = json.loads(Path('rates.json').read_text())
    assert list(results) == ['linear variant, eq. 12', 'CBSA']
    assert all(len(values['coding_rate']) == 31 for values in results.values())
    off = results['CBSA']['energy_off_lines']
    assert off[-1] < off[0] / 5
    assert Image.open('synthetic.png').width > 900
