"""The wheel, in an environment of its own that does not see the checkout."""
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pages import ROOT, commands
from PIL import Image

CONFIGS = sorted(ROOT.glob('configs/**/*.py'))
pytestmark = pytest.mark.slow
# Two iterations instead of 900.
SHORT = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2',
         'default_hooks.checkpoint.interval=2', 'train_dataloader.batch_size=2']


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel, built by way of an sdist from what git would hand out."""
    source, dist = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('dist')
    files = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT,
                           check=True, capture_output=True, text=True).stdout
    for file in filter(None, files.split('\0')):
        if (ROOT / file).exists():
            (source / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, source / file, follow_symlinks=False)
    subprocess.run([sys.executable, '-m', 'build', '-q', '--outdir', dist], cwd=source, check=True)
    [wheel] = dist.glob('*.whl')
    return wheel


@pytest.fixture(scope='module')
def python(wheel, tmp_path_factory):
    """Runs Python where the wheel is installed beside this environment's other libraries."""
    env = tmp_path_factory.mktemp('env')
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', env], check=True)
    executable = env / 'bin/python'
    pip = [sys.executable, '-m', 'pip', '-q', '--python', executable, 'install', '--no-deps', wheel]
    subprocess.run(pip, check=True)
    [site] = env.glob('lib/python*/site-packages')
    # Their folder alone: an editable installation in it is not seen.
    (site / 'libraries.pth').write_text(sysconfig.get_path('purelib') + '\n')

    def run(folder, *arguments):
        environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
        result = subprocess.run([executable, '-W', 'ignore', *map(str, arguments)], cwd=folder,
                                capture_output=True, text=True, env=environment)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


def test_downstream_project(python, tmp_path):
    """In somebody else's folder: a config and a few images."""
    shutil.copy(ROOT / 'examples/downstream/water.py', tmp_path)
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        images, labels = (tmp_path / f'data/{kind}/{split}' for kind in ('images', 'annotations'))
        for folder in (images, labels):
            folder.mkdir(parents=True)
        for i in range(3):
            image = rng.integers(256, size=(60, 80, 3), dtype=np.uint8)
            Image.fromarray(image).save(images / f'{i}.jpg')
            Image.fromarray(image[..., 0] // 128).save(labels / f'{i}.png')
    where = python(tmp_path, '-c', 'import cbsa_mm; print(cbsa_mm.__file__)')
    assert str(ROOT) not in where
    for command in commands(ROOT / 'docs/your-project.md'):
        command = command.replace('IMAGES', 'data/images/val').replace('iter_900', 'iter_2')
        _, *words = command.split()
        output = python(tmp_path, *words, *(['--cfg-options', *SHORT] if 'train' in words else []))
        assert 'mIoU' in output or 'test' not in words
    assert (tmp_path / 'water.onnx').exists()
    assert len(list(tmp_path.glob('predictions/pred/*.png'))) == 3


def test_wheel_carries_everything_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in CONFIGS:
        assert f'cbsa_mm/.mim/{path.relative_to(ROOT)}' in names
    assert {'cbsa_mm/.mim/model-index.yml', 'cbsa_mm/.mim/tools/train.py',
            'cbsa_mm/.mim/tools/dist_train.sh'} <= names
    assert {name.split('/')[0] for name in names if '.dist-info/' not in name} == {'cbsa_mm'}
    assert not any('__pycache__' in name or name.endswith('.pth') for name in names)


def test_installing_it_changes_no_library(wheel):
    report = subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '-q', '--dry-run', '--report', '-', wheel],
        check=True, capture_output=True, text=True).stdout
    assert {item['metadata']['name'] for item in json.loads(report)['install']} <= {'cbsa-mm'}


def test_every_tool_answers(python, tmp_path):
    for tool in ROOT.glob('tools/**/*.py'):
        if tool.stem in ('benchmark', 'compare'):  # which need the checkout's benchmarks/
            continue
        assert f'usage: {tool.name}' in python(tmp_path, '-m', 'cbsa_mm', tool.stem, '--help')
    assert 'classifiers at 224 pixels' in python(tmp_path, '-m', 'cbsa_mm', 'get_flops')


@pytest.mark.parametrize('library, base', [
    ('mmseg', 'cbt/cbt-t_shapes.py'), ('mmpretrain', 'cbt/cbt-t_shapes-cls.py')])
def test_the_libraries_own_tools(library, base, python, tmp_path):
    """They read a config before this package is imported."""
    tool = Path(python(tmp_path, '-c', f'import {library}; print({library}.__path__[0])').strip())
    (tmp_path / 'mine.py').write_text(
        f"_base_ = [__import__('cbsa_mm').config_path('{base}')]\n"
        "model = dict(backbone=dict(arch=dict(num_layers=1)))\n")
    options = ['train_dataloader.batch_size=2', 'train_dataloader.dataset.num_images=4',
               'val_dataloader.dataset.num_images=2']
    options += ['train_cfg.max_epochs=1'] if 'cls' in base else SHORT[:3]
    python(tmp_path, tool / '.mim/tools/train.py', 'mine.py', '--cfg-options', *options)
    [checkpoint] = tmp_path.glob('work_dirs/mine/[ei]*_*.pth')
    python(tmp_path, tool / '.mim/tools/test.py', 'mine.py', checkpoint, '--cfg-options',
           'test_dataloader.dataset.num_images=2')
