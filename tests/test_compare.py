"""compare.py on a few generated images."""
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tool_process
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

import cbsa_mm  # noqa: F401

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs/comparison'
OPTIONS = [
    'model.backbone.arch.embed_dims=16', 'model.backbone.arch.num_heads=2',
    'model.head.in_channels=16', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
    'train_dataloader.batch_size=4', 'val_evaluator.topk=(1,)'
]


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Images of ten classes where the configs expect them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split in ('train', 'test'):
        for label in range(10):
            folder = tmp_path / f'data/cifar10_folders/{split}/{label}'
            folder.mkdir(parents=True)
            image = rng.integers(256, size=(32, 32, 3), dtype=np.uint8)
            Image.fromarray(image).save(folder / '0.png')


@pytest.fixture
def fast_starts(monkeypatch):
    """Lets the tool start its processes as the tests do."""

    def run(command, stdout, stderr):
        process = tool_process.start('train', *command[2:], log=stdout.name)
        process.join()
        return SimpleNamespace(returncode=process.exitcode)

    processes = SimpleNamespace(run=run, STDOUT=None)
    monkeypatch.setattr('benchmarks.comparison.subprocess', processes)
    monkeypatch.setattr('multiprocessing.get_context', lambda method: tool_process.CONTEXT)


def test_compares(run_tool, images, fast_starts, capsys):
    command = ['compare', CONFIGS / 'cifar10_cbt.py', CONFIGS / 'cifar10_hybrid.py', '--repeats',
               2, '--json', 'numbers.json', '--plot', 'scores.png', '--seeds', 0, '--cfg-options',
               *OPTIONS]
    run_tool(*command)
    file = Path('numbers.json')
    results = json.loads(file.read_text())['results']
    assert list(results) == ['cifar10_cbt', 'cifar10_hybrid']
    for result in results.values():
        assert result['scores'] == [result['mean']] and 0 <= result['mean'] <= 100
        assert result['memory'] > 0 and result['low'] <= result['median'] <= result['high']
    assert results['cifar10_cbt']['parameters'] > results['cifar10_hybrid']['parameters']
    assert 'cifar10_hybrid' in capsys.readouterr().out
    assert Image.open('scores.png').width > 500

    # One of the two again, beside a run of another seed: nothing is trained, nothing is lost.
    document = json.loads(file.read_text())
    runs = document['results']['cifar10_cbt']['runs']
    runs['0']['score'], runs['7'] = 12.5, runs['0'] | dict(score=90.)
    file.write_text(json.dumps(document))
    run_tool(*command[:2], *command[3:])
    written = file.read_text()
    again = json.loads(written)['results']
    assert [again[name]['runs'] for name in results] == [runs, results['cifar10_hybrid']['runs']]
    assert again['cifar10_cbt']['scores'] == [12.5]
    with pytest.raises(SystemExit, match='has results of cifar10_cbt with other options'):
        run_tool(*command, 'train_dataloader.batch_size=5')
    assert file.read_text() == written


def test_equal_seeds_see_equal_data(images, tmp_path):
    def batches(name, seed):
        """What the model is given, augmentation included."""
        cfg = Config.fromfile(CONFIGS / f'cifar10_{name}.py')
        cfg.merge_from_dict({
            'work_dir': str(tmp_path / f'{name}{seed}'), 'randomness.seed': seed,
            'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 3,
            'train_dataloader.batch_size': 4})
        runner, seen = Runner.from_cfg(cfg), []
        runner.model.data_preprocessor.register_forward_hook(
            lambda module, args, out: seen.append(out['inputs']))
        runner.train()
        return torch.stack([batch for batch in seen if len(batch) == 4])

    first = batches('cbt', 1)
    assert torch.equal(batches('hybrid', 1), first)
    assert not torch.equal(batches('cbt', 2), first)


@pytest.mark.parametrize('name, page', [('clothing', 'foundation')])
def test_tables_in_the_docs_are_of_the_committed_runs(name, page, run_tool, tmp_path, capsys):
    """Fails as well where a config is no longer the one that was trained."""
    file = tmp_path / 'results.json'
    shutil.copy(ROOT / f'benchmarks/results/{name}.json', file)
    configs = [CONFIGS / f'{config}.py' for config in json.loads(file.read_text())['results']]
    run_tool('compare', *configs, '--json', file, '--repeats', 0)
    rows = [line for line in capsys.readouterr().out.splitlines() if '±' in line]
    assert len(rows) == len(configs)
    lines = {' '.join(line.split()) for line in (ROOT / f'docs/{page}.md').read_text().splitlines()}
    assert {' '.join(row.split()) for row in rows} <= lines
