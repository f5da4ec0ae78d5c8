"""What every tool does with a checkpoint that would run code, and with one that is malformed."""
import os
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from cbsa_mm.datasets.shapes import render
from cbsa_mm.inference import build_model

ROOT = Path(__file__).parents[1]
CONFIG = f'''
_base_ = {str(ROOT / 'configs/cbt/cbt-t_shapes.py')!r}
model = dict(
    backbone=dict(
        arch=dict(embed_dims=16, num_layers=1, num_heads=2), img_size=32,
        attn_cfg=dict(type='CBSA', grid_size=4)),
    decode_head=dict(
        in_channels=16, num_layers=1, attn_cfg=dict(type='CBSA', grid_size=4)))
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0, dataset=dict(num_images=2))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=1, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1))
'''
# How each tool, and each place that names a checkpoint, is given x.pth.
LOAD_FROM = ['--cfg-options', 'load_from=x.pth']
PRETRAINED = ['--cfg-options', 'model.backbone.init_cfg.type=Pretrained',
              'model.backbone.init_cfg.checkpoint=x.pth', 'model.backbone.init_cfg.prefix=backbone']
CALLS = {
    'attention_map': ['config.py', 'x.pth', 'image.png'],
    'convert_checkpoint': ['x.pth', 'out.pth'],
    'convert_checkpoint, back': ['x.pth', 'out.pth', '--to', 'official'],
    'explore': ['config.py', 'x.pth', '--host', '192.0.2.1'],  # where nothing is served
    'export': ['config.py', 'x.pth', '--format', 'torchscript'],
    'perturb': ['config.py', 'x.pth', '--num', '1', '--seeds', '1', '--stds', '0.1'],
    'predict': ['config.py', 'x.pth', 'image.png'],
    'probe': ['config.py', 'x.pth', '--num', '1'],
    'reparameterize': ['config.py', 'x.pth', 'out.pth'],
    'show_results': ['config.py', 'x.pth', '--num', '1'],
    'test': ['config.py', 'x.pth'],
    'train, load_from': ['config.py', *LOAD_FROM],
    'train, pretrained': ['config.py', *PRETRAINED],
    'train, resume': ['config.py', '--resume', 'x.pth'],
    'train, resume the last': ['config.py', '--resume', '--work-dir', 'work'],
    'zero_shot_seg': ['config.py', 'x.pth', '--num', '1'],
}


class Harmful:
    """Makes a folder if it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ('harm', )


@pytest.fixture(scope='module')
def weights():
    return build_model(Config.fromstring(CONFIG, '.py')).state_dict()


@pytest.fixture
def call(run_tool):
    """Runs a call of :data:`CALLS` on ``x.pth``, as ``call(name, *further arguments)``."""
    Path('config.py').write_text(CONFIG)
    Image.fromarray(render(0, 0, 32, 4)[0]).save('image.png')
    Path('work').mkdir()
    Path('work/last_checkpoint').write_text('x.pth')

    def run(name, *arguments):
        run_tool(name.split(',')[0], *CALLS[name], *arguments)

    return run


@pytest.fixture
def refused(call):
    """Checks that a call ends with one message, and leaves nothing behind."""

    def check(name, message):
        files = set(Path().rglob('*.p*'))
        with pytest.raises(SystemExit) as end:
            call(name)
        text = str(end.value)
        assert re.match(rf'{name.split(",")[0]}.py: error: .*{message}', text), text
        assert len(text) < 1000 and '\n' not in text
        assert not Path('harm').exists()
        assert {p for p in set(Path().rglob('*.p*')) - files if 'work' not in str(p)} == set()

    return check


def test_no_tool_is_left_out():
    tools = {path.stem for path in ROOT.glob('tools/**/*.py')
             if re.search('add_(trust|models?)_argument', path.read_text())}
    assert tools == {name.split(',')[0] for name in CALLS}


@pytest.mark.parametrize('name', CALLS)
def test_code_is_refused_and_does_not_run(name, weights, refused, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save(dict(state_dict=weights, meta=dict(best=Harmful())), 'x.pth')
    refused(name, r'x.pth was rejected, and no code in it was run: .*\(posix.mkdir\).* may run '
            'code .*--trust-checkpoint')


@pytest.mark.parametrize('name', ['convert_checkpoint', 'test', 'train, pretrained'])
def test_code_runs_where_it_is_trusted(name, weights, call):
    torch.save(dict(state_dict=weights, meta=dict(best=Harmful())), 'x.pth')
    try:
        call(name, '--trust-checkpoint')
    except SystemExit as end:  # a converter wants other weights, resuming an optimizer's state
        assert 'was rejected' not in str(end)
    assert Path('harm').exists()


def test_config_text_does_not_run_on_resuming(weights, refused):
    """mmengine would run it, though it is but text to PyTorch."""
    meta = dict(config='import os; os.mkdir("harm")', epoch=0, iter=0)
    torch.save(dict(state_dict=weights, meta=meta), 'x.pth')
    refused('train, resume', "x.pth can't be resumed")


@pytest.mark.parametrize('change, message', [
    (lambda weights: {'x': torch.ones(1)}, 'do not fit the backbone: 32 of its 32 tensors'),
    (lambda weights: weights | {'backbone.pos_embed': torch.ones(5)}, 'such as pos_embed'),
    (lambda weights: weights | {'backbone.pos_embed': torch.ones(1, 1, 16)}, 'such as pos_embed'),
    (lambda weights: weights | {'backbone.cls_token': torch.ones(1, 1, 16) / 0},
     'NaN, infinite values or integers are in 1 of'),
])
def test_pretrained_weights_that_do_not_fit(change, message, weights, refused):
    """mmengine would end in a traceback, or train on with what is left of them."""
    torch.save(dict(state_dict=change(weights)), 'x.pth')
    refused('train, pretrained', message)
