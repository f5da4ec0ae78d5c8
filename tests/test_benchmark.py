"""benchmark.py on small cases: that it measures, and that what it compares is the same."""
import json
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def benchmark(run_tool):
    def run(*arguments):
        run_tool('benchmark', '--archs', 'tiny', '--repeats', 2, '--batch', 1, '--json',
                 'numbers.json', '--plot', 'figures', '--device', 'cpu', '--parts', *arguments)
        return json.loads(Path('numbers.json').read_text())

    return run


@pytest.mark.slow
def test_forms_are_the_same_function(benchmark, capsys):
    numbers = benchmark('classifiers', 'decoders', 'throughput')
    for group, cases in numbers['classifiers'].items():
        for name, case in cases.items():
            assert case['low'] <= case['median'] <= case['high']
            assert case['difference'] < (1e-5 if 'float32' in group else 3e-2), (group, name)
    for cases in numbers['decoders'].values():
        assert all(cases[form]['difference'] < 1e-5 for form in ('ours', 'deploy') if form in cases)
    assert {name for name in numbers['machine']} >= {'device', 'threads', 'torch', 'date'}
    assert set(numbers['throughput']) == {'CBT-T', 'ViT-T', 'CRATE-T', 'ToST-T'}
    assert all(rate > 0 for rates in numbers['throughput'].values() for rate in rates.values())
    assert 'Images per second at 512 pixels' in capsys.readouterr().out
    assert Image.open('figures/classifiers.png').width > 500


def test_profile(benchmark):
    shares = benchmark('profile')['profile']
    assert all(0.5 < sum(shares[form].values()) <= 1 for form in ('plain', 'deploy'))
    assert 'aten::baddbmm' in shares['deploy'] and 'aten::baddbmm' not in shares['plain']


@pytest.mark.slow
def test_the_other_parts(benchmark):
    numbers = benchmark('gemm', 'runner', 'scaling', '--sides', 160)
    assert numbers['gemm']['share'] > 0
    assert len(numbers['runner']['']['Runner']['times']) == 2
    assert set(numbers['scaling']['160']) == {'softmax', 'CBSA', 'MSSA', 'TSSA'}
    assert all(case['memory'] > 0 for case in numbers['scaling']['160'].values())
    assert Image.open('figures/scaling.png').width > 500


@pytest.mark.slow
def test_foundation(benchmark):
    [cases] = benchmark('foundation', '--archs', 'base', '--sides', 64)['foundation'].values()
    assert list(cases) == ['encoder', 'CBT', 'Segmenter', 'PMT', 'UPerNet']
    assert all(case['flops'] > 0 and case['memory'] > 0 for case in cases.values())
    assert cases['CBT']['parameters'] < cases['Segmenter']['parameters']


def test_data(benchmark, ade20k, imagenet, tmp_path):
    (tmp_path / 'data/ade').mkdir(parents=True)
    (tmp_path / 'data/ade/ADEChallengeData2016').symlink_to(ade20k)
    (tmp_path / 'data/imagenet').symlink_to(imagenet)
    cases = benchmark('data')['data']
    assert [*cases['ADE20K']] == ['mmseg', 'ours'] and len(cases['ImageNet']) == 3
    assert all(case['rate'] > 0 for group in cases.values() for case in group.values())
