"""What README and docs tell to type works: every command and every Python block, in order.

They run in a folder laid out like a checkout, whose configs are the shipped ones on small images,
with random weights and made-up data. Left out is only what LEFT_OUT names.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import released_models
import tool_process
import torch
from mmengine.config import Config
from pages import PAGES, ROOT, blocks, commands
from PIL import Image

from cbsa_mm.checkpoints import convert
from cbsa_mm.compat import HAS_TORCH_EXPORT
from cbsa_mm.datasets.shapes import render
from cbsa_mm.inference import build_model

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not HAS_TORCH_EXPORT, reason='the page on export wants PyTorch 2.7')]

LEFT_OUT = {
    'wget': 'fetches from the net; the file is made up instead',
    'pre-commit': 'changes the hooks of the checkout',
    'configs/detection': 'needs mmdet; tests/test_detection.py runs the same tools',
    ' --amp': 'needs a GPU',
    'timm://': 'fetches from the net',
    'python -m cbsa_mm': 'run by tests/test_package.py, from the wheel',
}
# What makes a command short, or keeps it from waiting for somebody.
SHORTER = {
    'tools/analysis_tools/benchmark.py': '--parts gemm --archs tiny --repeats 1',
    'tools/analysis_tools/compare.py': '--seeds 0 --repeats 1 --json compared.json',
}
FEW = {f'{split}_dataloader.dataset.num_images': 2 for split in ('val', 'test')}
SMALL = {
    'cbt/*_shapes': FEW | {
        'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2,
        'default_hooks.checkpoint.interval': 2, 'train_dataloader.batch_size': 2},
    'cbt/*_shapes-cls': FEW | {
        'train_cfg.max_epochs': 1, 'train_dataloader.dataset.num_images': 50},
    'cbt/cbt-s_ade20k': {
        'model.backbone.init_cfg.checkpoint': 'vit-s.pth',
        'model.data_preprocessor.size': (64, 64), 'model.decode_head.attn_cfg.type': 'CBSA',
        'model.decode_head.attn_cfg.grid_size': 4, 'model.test_cfg.crop_size': (64, 64),
        'model.test_cfg.stride': (48, 48), 'train_dataloader.dataset.pipeline.2.scale': (256, 64),
        'train_dataloader.dataset.pipeline.3.crop_size': (64, 64),
        'val_dataloader.dataset.pipeline.1.scale': (256, 64),
        'test_dataloader.dataset.pipeline.1.scale': (256, 64),
        **{f'tta_pipeline.1.transforms.0.{i}.scale': (256, 64) for i in range(6)},
        'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2},
    'cbt/cbt-s_in1k': {
        'train_cfg.max_epochs': 1, 'train_dataloader.dataset.indices': 4,
        'train_dataloader.batch_size': 2, 'val_dataloader.dataset.indices': 4},
    'cbt/cbt-t_camvid*': {'train_dataloader.batch_size': 1},
    'comparison/cifar10_*': {
        'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1, 'train_dataloader.batch_size': 4},
}
EVERY = {f'{split}_dataloader.{key}': value for split in ('train', 'val', 'test')
         for key, value in (('num_workers', 0), ('persistent_workers', False))}
# What stands for itself where a reader puts something of their own.
WORDS = {
    'IMAGES': 'images', 'IMAGE': 'images/0.png', '...': 'images/1.png', '8': '2',
    'SRC': 'cbt_small.pth.tar', 'DST': 'converted.pth', 'OUT.py': 'out.py', 'BACK': 'back.pth.tar',
    'train_cfg.max_iters=400': 'train_cfg.max_iters=2',
    'train_cfg.val_interval=400': 'train_cfg.val_interval=2',
    'MODEL.onnx': 'cbt-t_shapes.onnx', '[LABELS.png]': 'labels.png',
    'CBT.py': 'configs/cbt/cbt-t_shapes.py', 'CBT.pth': 'weights/cbt-t_shapes.pth',
    'CRATE.py': 'configs/cbt/crate_shapes.py', 'CRATE.pth': 'weights/crate_shapes.pth',
    'SEGMENTER.py': 'configs/cbt/crate_shapes.py', 'SEGMENTER.pth': 'weights/crate_shapes.pth',
}
# What the Python blocks of a page take for granted.
GIVEN = {
    'README': 'import torch; x = torch.randn(2, 197, 384)',
    'export': '''
import json, onnxruntime, os, torch
os.link('cbt-t_shapes.pt', 'model.pt'), os.link('cbt-t_shapes.pt2', 'model.pt2')
session = onnxruntime.InferenceSession('cbt-t_shapes.onnx')''',
    'interpretation': '''
import torch
from mmengine.config import Config
from cbsa_mm.inference import build_model
torch.manual_seed(0)
model = build_model(Config.fromfile('configs/cbt/cbt-t_shapes-cls.py')).eval()
image, index, custom_hooks = torch.randn(1, 3, 64, 64), [0], []''',
}


DONE = set()  # commands that several pages have are run once


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A folder like a checkout, with small configs, random weights and made-up data."""
    project = tmp_path_factory.mktemp('project')
    for name in ('tools', 'examples', 'benchmarks', 'tests'):
        (project / name).symlink_to(ROOT / name)
    (project / 'configs').mkdir()
    for folder in (ROOT / 'configs').iterdir():
        copy = shutil.copytree if folder.name in ('cbt', 'comparison') else os.symlink
        copy(folder, project / 'configs' / folder.name)
    for pattern, options in SMALL.items():
        for path in ROOT.glob(f'configs/{pattern}.py'):
            write_config(path, project / path.relative_to(ROOT), options)
    write_config(ROOT / 'configs/cbt/cbt-t_shapes.py', project / 'configs/cbt/crate_shapes.py',
                 SMALL['cbt/*_shapes'] | {'model.backbone.attn_cfg': dict(type='MSSA')})
    write_weights(project)
    write_data(project)
    return project


def write_config(source, target, options):
    cfg = Config.fromfile(source)
    cfg.merge_from_dict(EVERY | options)
    cfg.dump(target)


def write_weights(project):
    weights = project / 'weights'
    weights.mkdir()
    for name in ('cbt-t_shapes', 'cbt-t_shapes-cls', 'crate_shapes', 'cbt-s_ade20k'):
        cfg = Config.fromfile(project / f'configs/cbt/{name}.py')
        torch.manual_seed(0)
        torch.save(dict(state_dict=build_model(cfg).state_dict()), weights / f'{name}.pth')
    trained = project / 'work_dirs/cbt-s_ade20k/iter_161728.pth'
    trained.parent.mkdir(parents=True)
    trained.symlink_to(weights / 'cbt-s_ade20k.pth')
    classifier = released_models.make_classifier(384, 12, 6)
    torch.save(dict(state_dict=classifier), project / 'cbt_small.pth.tar')
    (project / 'cbt_small_ade20k').mkdir()
    segmenter = released_models.make_segmenter(384, 12, 3)
    torch.save(dict(model=segmenter), project / 'cbt_small_ade20k/checkpoint.pth')
    vit = released_models.make_vit(384, 12, 577)
    np.savez(project / 'vit-s.npz', **{
        name: tensor.numpy() for name, tensor in
        released_models.make_augreg(384, 12, 6, 577).items()})
    for name, released in (('vit-s', vit), ('cbt-s', classifier), ('cbt-s_ade20k', segmenter)):
        converted = convert(released, 'mmseg' if name == 'vit-s' else None)
        torch.save(dict(state_dict=converted.state_dict, meta={}), project / f'{name}.pth')
    trained = project / 'work_dirs/cbt-s_in1k/epoch_150.pth'
    trained.parent.mkdir()
    os.link(project / 'cbt-s.pth', trained)


def write_data(project):
    rng = np.random.default_rng(0)

    def write(path, values):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)

    def photo(height=48, width=64):
        return rng.integers(256, size=(height, width, 3), dtype=np.uint8)

    for i in range(2):
        write(project / f'images/{i}.png', render(0, i, 96, 4)[0])
        for split in ('training', 'validation', 'train', 'val'):
            ade = project / 'data/ade/ADEChallengeData2016'
            write(ade / f'images/{split}/{i}.jpg', photo(96, 128))
            write(ade / f'annotations/{split}/{i}.png',
                  rng.integers(151, size=(96, 128), dtype=np.uint8))
            camvid = project / 'data/camvid'
            write(camvid / f'images/{split}/{i}.jpg', photo(60, 80))
            write(camvid / f'annotations/{split}/{i}.png',
                  rng.integers(11, size=(60, 80), dtype=np.uint8))
        for split in ('train', 'test'):
            for label in range(10):
                write(project / f'data/cifar10_folders/{split}/{label}/{i}.png', photo(32, 32))
    image = project / 'data/photo.JPEG'
    write(image, photo())
    for split in ('train', 'val'):
        for label in range(1000):
            folder = project / f'data/imagenet/{split}/n{label:08}'
            folder.mkdir(parents=True)
            os.link(image, folder / '0.JPEG')
    voc = project / 'data/VOCdevkit/VOC2012'
    labels = np.full((48, 64), 15, np.uint8)
    labels[:, :32] = 0
    for i in range(2):
        write(voc / f'JPEGImages/{i}.jpg', photo())
        write(voc / f'SegmentationClass/{i}.png', labels)
    (voc / 'ImageSets/Segmentation').mkdir(parents=True)
    (voc / 'ImageSets/Segmentation/val.txt').write_text('0\n1\n')


def for_the_project(command):
    """A command with names of the project in the place of a reader's own."""
    words, config = [], None
    for word in command.split():
        if word == 'CONFIG':
            kind = 'shapes-cls' if '--voc' in command else 'shapes'
            word = f'configs/cbt/cbt-t_{kind}.py'
        elif word == 'CHECKPOINT':
            word = f'weights/{Path(config).stem}.pth'
        if word.endswith('.py') and 'configs/' in word:
            config = word
        words.append(WORDS.get(word, word))
    words += [SHORTER[word] for word in words if word in SHORTER][:1]
    return ' '.join(words)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_what_it_tells_to_type_works(page, project):
    for command in commands(page):
        if command in DONE or any(part in command for part in LEFT_OUT):
            continue
        DONE.add(command)
        if command.startswith('make'):
            subprocess.run(['make', '-n', *command.split()[1:]], cwd=ROOT, check=True)
        elif 'pip install' in command:
            check_installation(command)
        else:
            run(for_the_project(command), project)
    run_python(page, project)


def run(command, project):
    """Runs a tool by the forkserver, which starts it faster, and all else by bash."""
    words, log = expand(command, project), project / 'output.log'
    if words[:2] == ['python', 'tools/analysis_tools/explore.py']:
        with tool_process.serving('explore', *words[2:], log=log, cwd=project):
            pass
    elif words[0] == 'python' and words[1].startswith('tools/'):
        tool_process.run(Path(words[1]).stem, *words[2:], log=log, cwd=project)
    else:
        run_in_bash(command, project)


def expand(command, project):
    """The words of a command, with what its braces stand for."""
    printed = subprocess.run(['bash', '-c', f"printf '%s\\0' {command}"], cwd=project, check=True,
                             capture_output=True, text=True).stdout
    return printed.split('\0')[:-1]


def run_in_bash(command, project):
    environment = os.environ | {
        'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        'PORT': str(tool_process.free_port()), 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(['bash', '-c', command], cwd=project, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f'{command}\n{done.stdout[-3000:]}'


def check_installation(command):
    """Whether what is installed is what the Makefile installs, or an extra of the package."""
    packages = shlex.split(command.partition('pip install')[2])
    extras = re.findall(r'^(\w+) = \[', (ROOT / 'pyproject.toml').read_text(), re.MULTILINE)
    named = re.search(r'\.\[(.*)\]', command)
    if named:
        assert set(named[1].split(',')) <= set(extras)
    else:
        recipe = subprocess.run(['make', '-nB', 'test-openmmlab'], cwd=ROOT, check=True,
                                capture_output=True, text=True).stdout
        assert set(packages) <= set(shlex.split(recipe))


def run_python(page, project):
    code = blocks(page, 'python')
    if page.stem == 'your-project':
        assert (ROOT / 'examples/downstream/water.py').read_text().endswith(code.pop(0))
    if code:
        (project / 'page.py').write_text('\n'.join([GIVEN.get(page.stem, ''), *code]))
        run('python -W ignore page.py', project)
