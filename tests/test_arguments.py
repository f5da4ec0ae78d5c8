"""What the tools make of their command lines, before anything else is done."""
import subprocess
import sys
from pathlib import Path

import pytest
from tool_process import ROOT

from cbsa_mm import arguments
from cbsa_mm.layers.archs import ARCHS

TOOLS = sorted(ROOT.glob('tools/**/*.py'))
HELP = '''
import runpy, sys
tools = sys.argv[1:]
for tool in tools:
    sys.argv = [tool, '--help']
    try:
        runpy.run_path(tool, run_name='__main__')
    except SystemExit as end:
        assert end.code == 0
print('loaded:', *{name.partition('.')[0] for name in sys.modules})
'''


def test_help_loads_no_library_that_takes_seconds():
    out = subprocess.run([sys.executable, '-c', HELP, *TOOLS], check=True, text=True,
                         capture_output=True).stdout
    assert all(f'usage: {tool.name}' in out for tool in TOOLS)
    loaded = out.partition('loaded: ')[2].split()
    assert 'cbsa_mm' in loaded
    assert not {'torch', 'mmengine', 'mmcv', 'mmseg', 'matplotlib', 'numpy'} & {*loaded}


def test_images_may_come_first_as_in_earlier_versions(capsys):
    moved = arguments.images_last(['a.png', 'c.py', 'c.pth', '--topk', '3'])
    assert moved == ['c.py', 'c.pth', 'a.png', '--topk', '3']
    assert 'CONFIG CHECKPOINT, then all else: c.py c.pth a.png' in capsys.readouterr().err
    assert arguments.images_last(moved) == moved
    models = ['demo', 'c.py', 'c.pth', 'a.png']
    assert arguments.images_last(models) == models


@pytest.fixture
def refuses(run_tool):
    """Runs a tool that must end with one message, as ``refuses(message, tool, *arguments)``."""
    for name in ('c.py', 'c.pth', 'image.png', 'x.json'):
        Path(name).write_text('kept')

    def run(message, tool, *arguments):
        with pytest.raises(SystemExit, match=f'^{tool}.py: error: .*{message}') as end:
            run_tool(tool, *arguments)
        assert len(end.value.code.splitlines()) == 1
        assert all(Path(name).read_text() == 'kept' for name in ('c.py', 'c.pth', 'x.json'))

    return run


@pytest.mark.parametrize('call, message', [
    # Files to read.
    ('train none.py', 'config: there is no config file none.py'),
    ('test c.py none.pth', 'checkpoint: there is no checkpoint none.pth'),
    ('test c.pth c.py', 'c.pth is no config, .*: the order is CONFIG CHECKPOINT'),
    ('predict c.py image.png c.pth', 'image.png is no checkpoint: the order is CONFIG CHECKPOINT'),
    ('attention_map c.py c.pth none.png', 'there is no file none.png'),
    # Files to write.
    ('show_results c.py c.pth --out pic', '--out: pic must end in .png or .jpg'),
    ('probe c.py c.pth --json /dev/null', '--json: /dev/null must end in .json'),
    ('predict c.py c.pth image.png --out-dir c.py', '--out-dir: .*c.py is no folder'),
    ('reparameterize c.py c.pth c.pth', 'c.pth is another argument too: name another file'),
    ('convert_checkpoint c.pth ../{here}/c.pth', 'c.pth is another argument too'),
    # Numbers.
    ('predict c.py c.pth image.png --opacity nan', '--opacity: it takes numbers from 0 to 1'),
    ('export c.py c.pth --opset 1', '--opset: it takes whole numbers, from 17 to 25, not 1'),
    ('perturb c.py c.pth --stds 0.1 0', '--stds: it takes positive numbers, not 0'),
    ('compare c.py --seeds 0 0', '--seeds: give each once'),
    # Devices and options.
    ('predict c.py c.pth image.png --device cuda:99', '--device: cuda:99 is not here'),
    ('train c.py --cfg-options train_cfg', '--cfg-options: it takes KEY=VALUE, not train_cfg'),
])
def test_mistakes_end_with_one_message(call, message, refuses, monkeypatch, tmp_path):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    refuses(message, *call.format(here=tmp_path.name).split())


def test_names_of_archs():
    assert arguments.ARCHS == tuple(ARCHS)
