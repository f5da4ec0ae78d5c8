"""What `import cbsa_mm` does with some of the OpenMMLab libraries missing."""
import subprocess
import sys

import pytest
from pages import ROOT

from cbsa_mm.require import MissingLibraryError, require


def run(code, missing=()):
    """Runs code in a new process in which some libraries can't be imported."""
    block = ''.join(f'import sys; sys.modules[{name!r}] = None\n' for name in missing)
    return subprocess.run([sys.executable, '-W', 'ignore', '-c', block + code],
                          capture_output=True, text=True)


def test_imports_nothing_else_and_quietly():
    result = run('''
import sys
import cbsa_mm
assert not set(sys.modules) & {'torch', 'mmengine', 'mmcv', 'mmseg', 'mmpretrain'}
import cbsa_mm.layers
assert 'torch' in sys.modules and 'mmengine' not in sys.modules
import importlib
import mmengine.runner
importlib.reload(cbsa_mm)  # registers nothing twice
''')
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')


@pytest.mark.slow
def test_names_are_found_whatever_is_imported_first():
    result = run('''
import os, traceback
from importlib import import_module
import cv2, matplotlib.pyplot, torchvision
import cbsa_mm
ROOT = dict(
    MODELS=['AdaptedMHSA', 'AdaptedViT', 'AgentAttention', 'CBSA', 'CBT', 'LinearAttention', 'MHSA',
            'MSSA', 'PlainViT', 'SimpleFeaturePyramid', 'TSSA'],
    DATASETS=['ShapesDataset'],
    TRANSFORMS=['CheckLabels'],
    HOOKS=['ClassCountHook', 'CompressionHook', 'ExactResumeHook', 'NonFiniteGuardHook',
           'PlainCheckpointHook', 'StrictLoadHook'],
    DATA_SAMPLERS=['SeededBatchSampler'],
    PARAM_SCHEDULERS=['MinWarmupCosineLR'])
MMSEG = dict(
    MODELS=['CBT', 'CBTMaskTransformerHead', 'DEPICTCAHead', 'DEPICTSAHead',
            'SlidingEncoderDecoder'],
    DATASETS=['CamVidDataset', 'ShapesDataset'],
    TRANSFORMS=['FastPhotoMetricDistortion', 'FastRandomCrop'])

def check(first, library, expected):
    import_module(first)
    import mmengine.runner
    for registry, names in expected.items():
        for name in names:
            assert getattr(import_module(library), registry).get(name).__name__ == name

def fork(*arguments):
    if os.fork() == 0:
        try:
            check(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.wait()[1] == 0, arguments

for part in ('backbones', 'datasets', 'engine'):
    fork(f'cbsa_mm.{part}', 'mmengine.registry', ROOT)
for first in ('mmcv', 'cbsa_mm.decode_heads'):
    fork(first, 'mmseg.registry', MMSEG)
''')
    assert result.returncode == 0, result.stderr


def test_without_mmseg_classification_works():
    result = run('''
import cbsa_mm
from mmengine.registry import MODELS
MODELS.build(dict(type='CBT', arch=dict(embed_dims=16, num_layers=1, num_heads=2)))
import cbsa_mm.decode_heads
''', missing=['mmseg'])
    assert 'MissingLibraryError: this part of cbsa_mm needs mmseg.models' in result.stderr
    assert "pip install 'cbsa-mm[onedl]'" in result.stderr


def test_without_mmengine_the_layers_work():
    result = run('''
import torch
from cbsa_mm.layers import CBSA
CBSA(8, 2)(torch.zeros(1, 17, 8), (4, 4))
import cbsa_mm.backbones
''', missing=['mmengine', 'mmcv', 'mmseg', 'mmseg.models', 'mmpretrain'])
    assert 'MissingLibraryError: this part of cbsa_mm needs' in result.stderr
    assert result.stderr.count('Traceback') <= 2  # the library's and ours, nothing else


def test_a_broken_library_counts_as_missing(tmp_path, monkeypatch):
    (tmp_path / 'picky.py').write_text('assert False, "mmcv 2.2 is too new"')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingLibraryError, match='needs picky, .*mmcv 2.2 is too new'):
        require('picky')


def test_tools_name_the_missing_library(run_tool, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmdet.models', None)
    with pytest.raises(SystemExit, match='needs mmdet.models, .* with an mmcv with compiled ops'):
        run_tool('train', ROOT / 'configs/detection/cbt-s_mask-rcnn_coco.py')
