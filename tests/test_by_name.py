"""Configs and models by their names, through the libraries' own functions, as users call them."""
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

import cbsa_mm
from cbsa_mm.datasets.shapes import render
from cbsa_mm.inference import build_model

ROOT = Path(__file__).parents[1]


def models():
    def read(file):
        return yaml.safe_load((ROOT / file).read_text())

    index = read('model-index.yml')['Import']
    assert index == sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/*.yml'))
    return [model for file in index for model in read(file)['Models']]


def test_every_config_is_listed_once_with_its_figures():
    listed = [model['Config'] for model in models()]
    assert sorted(listed) == sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob('configs/[!_]*/*.py'))
    for model in models():
        assert model['Name'] == Path(model['Config']).stem
        assert model['Weights'] == 'unpublished://'
        header = (ROOT / model['Config']).read_text().split('_base_')[0].replace('\n# ', ' ')
        [result] = model['Results']
        for metric in (result['Metrics'] or {}).values():
            assert f'Published: {metric}' in header
            assert 'published' in model['Metadata']['Results']
        published = re.search(r'Published: [\d.]+ (top-1|mIoU)', header)
        assert bool(published) == bool(result['Metrics']), model['Name']


def test_paths_of_configs():
    assert Path(cbsa_mm.config_path('cbt/cbt-s_in1k.py')) == ROOT / 'configs/cbt/cbt-s_in1k.py'
    with pytest.raises(FileNotFoundError, match='cbsa_mm has no config cbt/none.py'):
        cbsa_mm.config_path('cbt/none.py')


@pytest.fixture
def run(tmp_path):
    """Runs code in a new process, in a folder with an image and weights; gives what it prints."""
    Image.fromarray(render(0, 0, 128, 4)[0]).save(tmp_path / 'image.png')
    for name in ('cbt-t_shapes', 'cbt-t_shapes-cls'):
        cfg = Config.fromfile(cbsa_mm.config_path(f'cbt/{name}.py'))
        torch.save(dict(state_dict=build_model(cfg).state_dict(), meta={}),
                   tmp_path / f'{name}.pth')

    def python(code):
        result = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=tmp_path,
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return python


@pytest.mark.slow
def test_mmseg(run):
    output = run('''
import cbsa_mm
from mmseg.apis import MMSegInferencer, inference_model, init_model
inferencer = MMSegInferencer('cbt-t_shapes', 'cbt-t_shapes.pth', scope='cbsa_mm', device='cpu')
print('PREDICTED', inferencer('image.png')['predictions'].shape)
model = init_model(cbsa_mm.config_path('cbt/cbt-t_shapes.py'), 'cbt-t_shapes.pth', device='cpu')
print(type(model.backbone))
inference_model(model, 'image.png')
try:
    MMSegInferencer('cbt-t_ade20k', scope='cbsa_mm')
except cbsa_mm.errors.UserError as error:
    print('REFUSED', error)
''')
    assert 'PREDICTED (128, 128)' in output
    assert 'cbsa_mm.backbones.cbt.CBT' in output
    assert 'REFUSED no weights of this model are published' in output


@pytest.mark.parametrize('imports', [
    'import cbsa_mm, mmpretrain',
    pytest.param('import mmpretrain, cbsa_mm', marks=pytest.mark.slow)])
def test_mmpretrain(run, imports):
    output = run(imports + '''
print(mmpretrain.list_models('cbt-?_in1k'), mmpretrain.list_models('*ade20k*'))
model = mmpretrain.get_model('cbt-t_shapes-cls', pretrained='cbt-t_shapes-cls.pth')
print(type(model.backbone))
inferencer = mmpretrain.ImageClassificationInferencer('cbt-t_shapes-cls', 'cbt-t_shapes-cls.pth')
print('LABEL', inferencer('image.png')[0]['pred_label'] in range(5))
for load in (lambda: mmpretrain.get_model('cbt-t_in1k', pretrained=True),
             lambda: mmpretrain.ImageClassificationInferencer('cbt-t_in1k')):
    try:
        load()
    except cbsa_mm.errors.UserError as error:
        print('REFUSED', error)
''')
    assert "['cbt-b_in1k', 'cbt-l_in1k', 'cbt-s_in1k', 'cbt-t_in1k'] []" in output
    assert 'cbsa_mm.backbones.cbt.CBT' in output
    assert 'LABEL True' in output
    assert output.count('REFUSED no weights of this model are published') == 2


def test_scope_passes_on():
    """What an inherited config is marked with finds what the scope around it finds."""
    for scope, module in (('mmpretrain', 'mmpretrain.models.backbones.vision_transformer'),
                          ('mmseg', 'mmseg.models.backbones.vit')):
        import_module(f'{scope}.models')
        with DefaultScope.overwrite_default_scope(scope), \
                MODELS.switch_scope_and_registry('cbsa_mm') as registry:
            assert registry.get('VisionTransformer').__module__ == module
            assert registry.get('CBT').__name__ == 'CBT'
            assert registry.get('NoSuchModel') is None
