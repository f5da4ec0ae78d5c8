import os

import numpy as np
import pytest
import released
import tool_process
import torch
import yapf  # noqa: F401 (writes its cache here, before the workers read it)
from hypothesis import settings
from PIL import Image
from tool_process import ROOT

# The tests' examples are few and always the same; a soak's are many and always others:
# pytest tests/fuzz --hypothesis-profile soak
settings.register_profile('test', max_examples=10, derandomize=True, deadline=None)
settings.register_profile('all', max_examples=50, derandomize=True, deadline=None)
settings.register_profile('soak', max_examples=2000, deadline=None)
settings.load_profile('test')

# Tests run side by side, one thread each, and so do the processes that they start.
torch.set_num_threads(1)
os.environ['OMP_NUM_THREADS'] = '1'

DTYPES = {'float16': torch.float16, 'bfloat16': torch.bfloat16}


def pytest_addoption(parser):
    parser.addoption('--device', help='of tests marked gpu, by default the first GPU, and of those '
                     'marked released, by default the CPU')
    parser.addoption('--dtype', choices=DTYPES, help='of autocast, for tests marked released')


@pytest.fixture(scope='session')
def device(request):
    """Where tests marked ``gpu`` run."""
    chosen = request.config.getoption('device') or ('cuda' if torch.cuda.is_available() else None)
    if not chosen:
        pytest.skip('this machine has no GPU')
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(chosen)


@pytest.fixture(autouse=True)
def chosen_device(request):
    """Runs tests marked ``released`` on ``--device``, and within autocast to ``--dtype``."""
    name, dtype = (request.config.getoption(option) for option in ('device', 'dtype'))
    if not request.node.get_closest_marker('released') or not (name or dtype):
        yield
        return
    torch.backends.cudnn.allow_tf32 = False
    released.autocast_dtype = DTYPES.get(dtype)
    with torch.device(name or 'cpu'), torch.autocast(
            torch.device(name or 'cpu').type, DTYPES.get(dtype), enabled=bool(dtype)):
        yield
    released.autocast_dtype = None


SMALL = '''
_base_ = {base!r}
model = dict(
    backbone=dict(
        arch=dict(embed_dims=16, num_layers=2, num_heads=2), img_size=64,
        attn_cfg=dict(type={attn!r})),
    {head}=dict(in_channels=16, **{head_cfg!r}))
val_dataloader = dict(dataset=dict(num_images=3))
test_dataloader = val_dataloader
'''


@pytest.fixture
def run_tool(monkeypatch, tmp_path):
    """Runs tools/NAME.py in this process, in an empty folder, as ``run_tool(NAME, *arguments)``."""
    monkeypatch.chdir(tmp_path)
    return tool_process.call


@pytest.fixture(scope='session')
def autocast():
    """Autocast on the CPU, as ``autocast(dtype)``."""

    def context(dtype):
        try:
            with torch.autocast('cpu', dtype):
                pass
        except RuntimeError as error:  # PyTorch 2.1 and float16
            pytest.skip(str(error))
        return torch.autocast('cpu', dtype)

    return context


@pytest.fixture
def make(tmp_path):
    """Writes a config and a checkpoint of random weights, as ``make(base, attn, **head_cfg)``."""
    from mmengine.config import Config

    from cbsa_mm.inference import build_model

    def write(base, attn='CBSA', **head_cfg):
        stem = '_'.join([base, attn, head_cfg.get('type', '')]).rstrip('_')
        config, checkpoint = tmp_path / f'{stem}.py', tmp_path / f'{stem}.pth'
        config.write_text(SMALL.format(
            base=str(ROOT / f'configs/cbt/{base}.py'), attn=attn, head_cfg=head_cfg,
            head='head' if base.endswith('cls') else 'decode_head'))
        torch.manual_seed(0)
        torch.save(dict(state_dict=build_model(Config.fromfile(config)).state_dict()), checkpoint)
        return config, checkpoint

    return write


@pytest.fixture(scope='session')
def ade20k(tmp_path_factory):
    """Random images and labels in ADE20K's layout."""
    root, rng = tmp_path_factory.mktemp('ade'), np.random.default_rng(0)
    for split in ('training', 'validation'):
        for kind in ('images', 'annotations'):
            os.makedirs(root / kind / split)
        for i in range(2):
            image = rng.integers(256, size=(96, 128, 3), dtype=np.uint8)
            labels = rng.integers(151, size=(96, 128), dtype=np.uint8)
            Image.fromarray(image).save(root / f'images/{split}/{i}.jpg')
            Image.fromarray(labels).save(root / f'annotations/{split}/{i}.png')
    return root


@pytest.fixture(scope='session')
def imagenet(tmp_path_factory):
    """Random images in ImageNet's layout, of three classes."""
    root, rng = tmp_path_factory.mktemp('imagenet'), np.random.default_rng(0)
    for split in ('train', 'val'):
        for wnid in ('n01440764', 'n01443537', 'n01484850'):
            os.makedirs(root / split / wnid)
            for i in range(2):
                image = rng.integers(256, size=(48, 64, 3), dtype=np.uint8)
                Image.fromarray(image).save(root / split / wnid / f'{i}.JPEG')
    return root
