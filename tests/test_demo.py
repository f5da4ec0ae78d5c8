"""The trained models in the package."""
import json
import os

import pytest

from cbsa_mm.arguments import DEMOS


def test_tools_take_them_by_name(run_tool, tmp_path):
    run_tool('probe', 'demo', 'demo-cls', '--num', 2, '--json', 'numbers.json')
    numbers = json.loads((tmp_path / 'numbers.json').read_text())
    assert list(numbers) == ['cbt-t_shapes', 'cbt-t_shapes-cls']
    for name in numbers.values():
        rates = name['normalized_tokens']['mean']
        assert rates[3] < rates[0]  # trained ones compress


@pytest.mark.slow
@pytest.mark.parametrize('name, metric, score', [
    ('demo', 'mIoU', 84.59), ('demo-cls', 'accuracy/top1', 98.6)])
def test_they_reach_what_the_docs_say(name, metric, score, run_tool, tmp_path):
    assert os.path.getsize(DEMOS[name][1]) < 2e6
    run_tool('test', name, '--work-dir', 'work')
    [numbers] = tmp_path.glob('work/*/*.json')
    assert json.loads(numbers.read_text())[metric] == pytest.approx(score, abs=0.1)
