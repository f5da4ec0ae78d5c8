"""``python -m cbsa_mm TOOL``."""
import subprocess
import sys

import pytest
from pages import ROOT

from cbsa_mm import __main__ as command


def test_lists_the_tools_of_all_folders(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['cbsa_mm'])
    with pytest.raises(SystemExit, match='usage: python -m cbsa_mm TOOL') as error:
        command.main()
    listed = str(error.value).partition('one of ')[2].partition(';')[0]
    tools = [*(ROOT / 'tools').rglob('*.py'), *(ROOT / 'tools').rglob('*.sh')]
    assert listed.split(', ') == sorted(path.stem for path in tools)


def test_runs_a_script_of_bash():
    told = subprocess.run([sys.executable, '-m', 'cbsa_mm', 'dist_train'], cwd=ROOT,
                          capture_output=True, text=True)
    assert told.returncode == 2
    assert 'dist_train.sh CONFIG GPUS' in told.stderr
