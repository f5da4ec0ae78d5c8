"""The rehearsal of benchmarks/prove_gpu.py, so that it works on the day that there is a GPU."""
import json
import subprocess
import sys

import pytest
import torch
from tool_process import ROOT


def prove(*arguments):
    return subprocess.run([sys.executable, ROOT / 'benchmarks/prove_gpu.py', *map(str, arguments)],
                          capture_output=True, text=True)


@pytest.mark.slow
def test_rehearsal(tmp_path):
    result = prove(tmp_path, '--device', 'cpu', '--minutes', 60)
    assert result.returncode == 0, result.stdout + result.stderr
    for part in ('throughput', 'scaling', 'memory', 'gemm', 'decoders', 'classifiers', 'runner'):
        assert json.loads((tmp_path / f'{part}.json').read_text())[part]
    for name in ('parity-float32', 'tests', 'parity-float16', 'parity-bfloat16'):
        assert ' passed' in (tmp_path / f'{name}.txt').read_text()


def test_ends_in_time(tmp_path):
    for minutes, outcome in ((0.01, 'out of time'), (0, 'no time left')):
        result = prove(tmp_path, '--device', 'cpu', '--minutes', minutes, '--only', 'gemm')
        assert f'gemm: {outcome}' in result.stdout and result.returncode == 1
        assert f'not done: gemm: see {tmp_path}' in result.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_needs_a_gpu(tmp_path):
    assert 'no GPU; --device cpu rehearses' in prove(tmp_path).stderr
