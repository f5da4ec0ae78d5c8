"""Training resumes from a checkpoint, or tells in one line why it can't."""
import copy
from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.model import BaseModel
from torch import nn

from cbsa_mm.engine import use_safe_loading
from cbsa_mm.engine.runner import CheckedRunner
from cbsa_mm.errors import UserError

NUMBERS = count()


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 4))

    def forward(self, x, mode):
        return dict(loss=self.layers(torch.stack(x)).square().sum())


class Data(torch.utils.data.Dataset):
    metainfo = dict(classes=('a', 'b'), palette=[[0, 0, 0], [1, 1, 1]])

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return dict(x=torch.tensor([i, 1.]))


class QuietRunner(CheckedRunner):
    """Does not look for compilers to report, which takes longer than all else here."""

    def _log_env(self, env_cfg):
        pass


def train(folder, max_iters, **kwargs):
    QuietRunner(
        Model(), randomness=dict(seed=0), work_dir=str(folder), log_level='ERROR',
        experiment_name=f'fuzz_{next(NUMBERS)}',
        train_dataloader=dict(batch_size=2, dataset=Data(), sampler=dict(type='DefaultSampler')),
        train_cfg=dict(by_epoch=False, max_iters=max_iters),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
        param_scheduler=[dict(type='LinearLR', by_epoch=False, end=2),
                         dict(type='CosineAnnealingLR', by_epoch=False, T_max=4)],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False)),
        custom_hooks=[dict(type='StrictLoadHook'), dict(type='PlainCheckpointHook')],
        **kwargs).train()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with the checkpoint iter_2.pth."""
    use_safe_loading()
    folder = tmp_path_factory.mktemp('resume')
    train(folder, 2)
    return folder


VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3) | \
    st.sampled_from([[], {}, [1], {'a': 1}, (), torch.ones(2), torch.ones(2).to_sparse()])
REMOVED = object()


def spoil(content, path, value):
    """Replaces or removes what lies under a path of indices, one for each level."""
    for i, index in enumerate(path):
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        key = keys[index % len(keys)]
        inner = content[key]
        if i + 1 < len(path) and isinstance(inner, dict | list) and inner:
            content = inner
        elif value is REMOVED:
            return content.pop(key)
        else:
            content[key] = value
            return inner


@given(st.lists(st.tuples(st.lists(st.integers(0, 99), min_size=1, max_size=5),
                          VALUES | st.just(REMOVED)), max_size=2))
def test_resuming(folder, changes):
    content = torch.load(folder / 'iter_2.pth', weights_only=True)
    for path, value in changes:
        spoil(content, path, copy.deepcopy(value) if value is not REMOVED else REMOVED)
    torch.save(content, folder / 'spoiled.pth')
    try:
        train(folder / 'out', 3, resume=True, load_from=str(folder / 'spoiled.pth'))
    except UserError as error:
        assert len(str(error)) < 1000
