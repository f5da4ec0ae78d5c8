"""The configs in docs/questions.md."""
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, TRANSFORMS, init_default_scope
from pages import ROOT, blocks

from cbsa_mm.engine import load_config

CONFIGS = blocks(ROOT / 'docs/questions.md', 'python')


@pytest.mark.parametrize('text', CONFIGS)
def test_is_complete_and_builds(text, tmp_path, monkeypatch):
    (tmp_path / 'own.py').write_text(text)
    cfg = load_config(str(tmp_path / 'own.py'))
    init_default_scope(cfg.default_scope)
    cfg.model.backbone.pop('init_cfg', None)
    # Without memory for the tensors, but for those by which backbones find drop path rates.
    monkeypatch.setattr(torch, 'linspace', partial(torch.linspace, device='cpu'))
    with torch.device('meta'):
        MODELS.build(cfg.model)


def test_six_channels(tmp_path):
    [text] = [text for text in CONFIGS if 'in_channels=6' in text]
    (tmp_path / 'own.py').write_text(text)
    cfg = load_config(str(tmp_path / 'own.py'))
    init_default_scope(cfg.default_scope)
    image = np.full((240, 320, 6), 180, np.uint8)
    normalized = TRANSFORMS.build(cfg.load[1])(dict(img=image))['img']
    assert normalized.shape == image.shape and (normalized == 1).all()
