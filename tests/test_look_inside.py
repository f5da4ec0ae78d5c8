"""The tools that look inside models, on small ones with random weights."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from cbsa_mm.datasets.shapes import render
from cbsa_mm.inference import build_model, preprocess, read_image


@pytest.fixture
def image(tmp_path):
    Image.fromarray(render(0, 0, 64, 4)[0]).save(tmp_path / 'shapes.png')
    return tmp_path / 'shapes.png'


def is_drawn(picture):
    """Whether a picture is large and of many colours."""
    with Image.open(picture) as image:
        colours = len(image.convert('RGB').getcolors(2**24))
        return image.width * image.height > 300_000 and colours > 1000


def test_attention_maps(make, image, run_tool, capsys):
    models = [*make('cbt-t_shapes'), *make('cbt-t_shapes-cls', 'MHSA')]
    run_tool('attention_map', *models, image, '--layers', 0, -1, '--places', '0.2,0.9')
    assert is_drawn('attention.png')
    run_tool('attention_map', *make('cbt-t_shapes'), image, '--part', 'decode_head', '--classes',
             'star', 'ring', '--out', 'classes.png')
    assert 'The picture is classes.png' in capsys.readouterr().out
    assert is_drawn('classes.png')


def test_attention_maps_refuse(make, image, run_tool):
    with pytest.raises(SystemExit, match='has 2 layers that can be recorded .*, but no layer 2'):
        run_tool('attention_map', *make('cbt-t_shapes'), image, '--layers', 2)
    assert not Path('attention.png').exists()


@pytest.mark.parametrize('base', ['cbt-t_shapes', 'cbt-t_shapes-cls'])
def test_the_image_shown_is_the_one_that_is_read(base, make, image):
    cfg = Config.fromfile(make(base)[0])
    model = build_model(cfg)
    inputs, shown = read_image(cfg, model, image)
    assert inputs.shape == (1, 3, 64, 64)
    np.testing.assert_array_equal(shown, render(0, 0, 64, 4)[0])  # RGB
    assert torch.equal(preprocess(model, shown), inputs)


@pytest.mark.parametrize('what', ['compression', 'reduction'])
def test_probe(what, make, run_tool):
    config, checkpoint = make('cbt-t_shapes')
    run_tool('probe', config, checkpoint, config, 'none', '--num', 2, '--json', 'rates.json',
             '--what', what)
    results = json.loads(Path('rates.json').read_text())
    assert list(results) == ['cbt-t_shapes_CBSA', 'cbt-t_shapes_CBSA, random weights']
    for curves in results.values():
        assert np.shape(curves['overlap']) == (2, 2, 2)  # layers, heads, heads
        assert all(len(curves[name]['mean']) == 2 for name in ('tokens', 'representatives', 'rank'))
        assert all(0 < share < 1 for share in curves['sparsity']['mean'])
        assert all(len(heads) == 2 for heads in curves['reduction_of_tokens']['mean'])
    assert is_drawn(f'{what}.png')


def test_synthetic_compression(run_tool):
    run_tool('synthetic', '--lines', 3, '--at-once', '--json', 'rates.json')
    results = json.loads(Path('rates.json').read_text())
    assert list(results) == ['linear variant, eq. 12', 'CBSA']
    assert all(len(values['coding_rate']) == 31 for values in results.values())
    off = results['CBSA']['energy_off_lines']
    assert off[-1] < off[0] / 5
    assert is_drawn('synthetic.png')


def test_perturb(make, run_tool):
    models = [*make('cbt-t_shapes'), *make('cbt-t_shapes', type='DEPICTSAHead'),
              *make('cbt-t_shapes-cls')]
    run_tool('perturb', *models, '--kind', 'within-heads', 'noise', '--stds', 1, 0.1, '--seeds', 2,
             '--num', 2, '--json', 'perturb.json')
    content = json.loads(Path('perturb.json').read_text())
    ours, depict, classifier = content['results'].values()
    assert content['stds'] == [0.1, 1]
    assert [r['part'] for r in (ours, classifier)] == ['decode_head', 'backbone']
    assert [r['metric'] for r in (ours, classifier)] == ['mIoU', 'top-1 accuracy']
    for curve in ours['kinds'].values():
        np.testing.assert_allclose(curve['mean'], np.mean(curve['scores'], 1))
        np.testing.assert_allclose(curve['std'], np.std(curve['scores'], 1, ddof=1))
    assert len({ours['unperturbed'], *ours['kinds']['noise']['scores'][1]}) == 3
    tied = depict['kinds']['within-heads']['scores']  # but for pixels that rounding decides
    np.testing.assert_allclose(tied, depict['unperturbed'], atol=0.05)
    assert ours['kinds']['within-heads']['mean'][1] != ours['unperturbed']
    assert is_drawn('perturb.png')


@pytest.mark.parametrize('base, metric, options', [
    ('cbt-t_shapes', 'mIoU', [
        'model.test_cfg.mode=slide', 'model.test_cfg.crop_size=(64,64)',
        'model.test_cfg.stride=(48,48)', 'model.decode_head.attn_cfg.grid_size=4']),
    ('cbt-t_shapes-cls', 'accuracy/top1', []),
])
def test_perturb_scores_as_the_test_does(base, metric, options, make, run_tool):
    options = ['--cfg-options', 'test_dataloader.num_workers=0', *options]
    run_tool('test', *make(base), '--work-dir', 'test', *options)
    [file] = Path('test').glob('*/[0-9]*.json')
    run_tool('perturb', *make(base), '--num', 0, '--stds', 0.1, '--seeds', 1, '--json',
             'perturb.json', *options)
    [result] = json.loads(Path('perturb.json').read_text())['results'].values()
    assert result['num_images'] == 3
    assert result['unperturbed'] == pytest.approx(json.loads(file.read_text())[metric])


def test_perturb_refuses(make, run_tool):
    model = make('cbt-t_shapes', _delete_=True, type='FCNHead', channels=16, num_classes=6)
    with pytest.raises(SystemExit, match='has no attention layer in its decode_head'):
        run_tool('perturb', *model)
