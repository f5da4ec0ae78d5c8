import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run_tool(monkeypatch, tmp_path):
    """Runs tools/NAME.py in this process, in an empty folder, as ``run_tool(NAME, *arguments)``."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        tool = ROOT / f'tools/{name}.py'
        monkeypatch.setattr(sys, 'argv', [str(tool), *map(str, arguments)])
        runpy.run_path(str(tool), run_name='__main__')

    return run


@pytest.fixture
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
