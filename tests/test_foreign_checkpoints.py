"""What every tool does with a checkpoint that would run code, and with one that is malformed."""
import os
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from PIL import Image
from tool_process import ROOT, SEGMENTER

from cbsa_mm.datasets.shapes import render
from cbsa_mm.inference import build_model

# How each tool, and each place that names a checkpoint, is given x.pth.
LOAD_FROM = ['--cfg-options', 'load_from=x.pth']
PRETRAINED = ['--cfg-options', 'model.backbone.init_cfg.type=Pretrained',
              'model.backbone.init_cfg.checkpoint=x.pth', 'model.backbone.init_cfg.prefix=backbone']
CALLS = {
    'attention_map': [SEGMENTER, 'x.pth', 'image.png'],
    'convert_checkpoint': ['x.pth', 'out.pth'],
    'convert_checkpoint, back': ['x.pth', 'out.pth', '--to', 'official'],
    'explore': [SEGMENTER, 'x.pth', '--host', '192.0.2.1'],  # where nothing is served
    'export': [SEGMENTER, 'x.pth', '--format', 'torchscript'],
    'perturb': [SEGMENTER, 'x.pth', '--num', '1', '--seeds', '1', '--stds', '0.1'],
    'predict': [SEGMENTER, 'x.pth', 'image.png'],
    'probe': [SEGMENTER, 'x.pth', '--num', '1'],
    'reparameterize': [SEGMENTER, 'x.pth', 'out.pth'],
    'show_results': [SEGMENTER, 'x.pth', '--num', '1'],
    'test': [SEGMENTER, 'x.pth'],
    'train, load_from': [SEGMENTER, *LOAD_FROM],
    'train, pretrained': [SEGMENTER, *PRETRAINED],
    'train, resume': [SEGMENTER, '--resume', 'x.pth'],
    'train, resume the last': [SEGMENTER, '--resume', '--work-dir', 'work'],
    'zero_shot_seg': [SEGMENTER, 'x.pth', '--num', '1'],
}


class Harmful:
    """Makes a folder if it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ('harm', )


@pytest.fixture(scope='module')
def weights():
    return build_model(Config.fromfile(SEGMENTER)).state_dict()


@pytest.fixture
def call(run_tool):
    """Runs a call of :data:`CALLS` on ``x.pth``, as ``call(name, *further arguments)``."""
    Image.fromarray(render(0, 0, 32, 4)[0]).save('image.png')
    Path('work').mkdir()
    Path('work/last_checkpoint').write_text('x.pth')
    return lambda name, *arguments: run_tool(name.split(',')[0], *CALLS[name], *arguments)


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
    (lambda weights: {'x': torch.ones(1)}, r'do not fit the backbone: (\d+) of its \1 tensors'),
    (lambda weights: weights | {'backbone.pos_embed': torch.ones(1, 1, 16)}, 'such as pos_embed'),
    (lambda weights: weights | {'backbone.cls_token': torch.ones(1, 1, 16) / 0},
     'NaN, infinite values or integers are in 1 of'),
])
def test_pretrained_weights_that_do_not_fit(change, message, weights, refused):
    """mmengine would end in a traceback, or train on with what is left of them."""
    torch.save(dict(state_dict=change(weights)), 'x.pth')
    refused('train, pretrained', message)
