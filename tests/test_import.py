"""What `import cbsa_mm` does with some of the OpenMMLab libraries missing."""
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from cbsa_mm.require import MissingLibraryError, require


def run(code, missing=()):
    """Runs code in a new process in which some libraries can't be imported."""
    block = ''.join(f'import sys; sys.modules[{name!r}] = None\n' for name in missing)
    return subprocess.run([sys.executable, '-W', 'ignore', '-c', block + code],
                          capture_output=True, text=True)


def test_costs_nothing():
    result = run('''
import sys, time
import mmengine
before = set(sys.modules)
start = time.perf_counter()
import cbsa_mm
seconds = time.perf_counter() - start
new = {name.split('.')[0] for name in set(sys.modules) - before}
assert not new & {'torch', 'mmcv', 'mmseg', 'mmpretrain'}, new
assert seconds < 0.3, seconds
''')
    assert (result.returncode, result.stdout) == (0, run('import mmengine').stdout), result.stderr
    assert result.stderr == ''


def test_registers_once_and_quietly():
    result = run('''
import importlib, logging
import mmengine
import cbsa_mm
from mmengine.registry import DATASETS, HOOKS, MODELS, PARAM_SCHEDULERS
importlib.reload(cbsa_mm)
importlib.import_module('cbsa_mm')
assert MODELS.get('CBT').__module__ == 'cbsa_mm.backbones.cbt'
assert DATASETS.get('ShapesDataset') and HOOKS.get('StrictLoadHook')
assert PARAM_SCHEDULERS.get('MinWarmupCosineLR')
from mmseg.registry import DATASETS, MODELS
assert MODELS.get('CBTMaskTransformerHead') and DATASETS.get('CamVidDataset')
from mmpretrain.registry import MODELS
assert MODELS.get('CBT')
assert MODELS.get('CBT') is importlib.import_module('cbsa_mm.backbones').CBT
''')
    assert result.returncode == 0, result.stderr


def test_every_name_is_found():
    import cbsa_mm.registry as ours
    for library, names in (('mmengine.registry', ours.ROOT), ('mmseg.registry', ours.MMSEG)):
        library = import_module(library)
        for registry, modules in names.items():
            for module, names in modules.items():
                for name in names:
                    found = getattr(library, registry).get(name)
                    assert found is getattr(import_module(module), name)


def test_without_mmseg_classification_works():
    result = run('''
import cbsa_mm
from mmengine.registry import MODELS
MODELS.build(dict(type='CBT', arch=dict(embed_dims=16, num_layers=1, num_heads=2)))
import cbsa_mm.decode_heads
''', missing=['mmseg'])
    assert 'MissingLibraryError: this part of cbsa_mm needs mmseg.models' in result.stderr
    assert "pip install 'cbsa-mm[onedl]'" in result.stderr
    assert "'cbsa-mm[openmmlab]'" in result.stderr


@pytest.mark.parametrize('module', ['backbones', 'decode_heads'])
def test_without_mmengine_the_layers_work(module):
    result = run(f'''
import cbsa_mm, torch
from cbsa_mm.layers import CBSA
CBSA(8, 2)(torch.zeros(1, 17, 8), (4, 4))
import cbsa_mm.{module}
''', missing=['mmengine', 'mmcv', 'mmseg', 'mmseg.models', 'mmpretrain'])
    assert 'MissingLibraryError: this part of cbsa_mm needs' in result.stderr
    assert result.stderr.count('Traceback') <= 2  # the library's and ours, nothing else


def test_a_broken_library_counts_as_missing(tmp_path, monkeypatch):
    (tmp_path / 'picky.py').write_text('assert False, "mmcv 2.2 is too new"')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingLibraryError, match='needs picky, .*mmcv 2.2 is too new'):
        require('picky')


def test_tools_name_the_missing_library(run_tool, monkeypatch):
    config = Path(__file__).parents[1] / 'configs/cbt/cbt-t_in1k.py'
    monkeypatch.setitem(sys.modules, 'mmpretrain', None)
    with pytest.raises(SystemExit, match='error: this part of cbsa_mm needs mmpretrain'):
        run_tool('train', config)
    monkeypatch.setitem(sys.modules, 'mmdet.models', None)
    config = Path(__file__).parents[1] / 'configs/detection/cbt-s_mask-rcnn_coco.py'
    with pytest.raises(SystemExit, match='needs mmdet.models, .* beside an mmcv with compiled ops'):
        run_tool('train', config)
