"""compare.py on a few generated images."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

import cbsa_mm  # noqa: F401

CONFIGS = Path(__file__).parents[1] / 'configs/comparison'
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
def compare(run_tool, images):
    """Compares two configs, as ``compare(*arguments)``; gives the numbers."""

    def run(*arguments):
        run_tool('compare', CONFIGS / 'cifar10_cbsa.py', CONFIGS / 'cifar10_hybrid.py', '--repeats',
                 3, '--json', 'numbers.json', '--plot', 'scores.png', '--seeds', 0,
                 '--cfg-options', *OPTIONS, *arguments)
        return json.loads(Path('numbers.json').read_text())['results']

    return run


def test_compares_and_goes_on_where_it_was(compare, capsys):
    first = compare()
    assert list(first) == ['cifar10_cbsa', 'cifar10_hybrid']
    for result in first.values():
        assert result['scores'] == [result['mean']] and 0 <= result['mean'] <= 100
        assert result['memory'] > 0 and result['low'] <= result['median'] <= result['high']
    assert first['cifar10_cbsa']['parameters'] > first['cifar10_hybrid']['parameters']
    assert 'cifar10_hybrid' in capsys.readouterr().out
    assert Image.open('scores.png').width > 500

    runs = sorted(Path('work_dirs/compare').glob('*/seed*/2*'))
    again = compare()
    assert all(again[name]['scores'] == first[name]['scores'] for name in first)
    assert sorted(Path('work_dirs/compare').glob('*/seed*/2*')) == runs  # nothing was trained
    with pytest.raises(SystemExit, match='has a run with other options'):
        compare('train_dataloader.batch_size=5')


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

    first = batches('cbsa', 1)
    for name in ('mssa', 'tssa', 'mhsa', 'hybrid'):
        assert torch.equal(batches(name, 1), first)
    assert not torch.equal(batches('cbsa', 2), first)


def test_refuses_two_configs_of_one_name(run_tool, tmp_path):
    (tmp_path / 'cifar10_cbsa.py').touch()
    with pytest.raises(SystemExit, match='file names must differ'):
        run_tool('compare', CONFIGS / 'cifar10_cbsa.py', tmp_path / 'cifar10_cbsa.py')
    assert not Path('work_dirs').exists()


@pytest.mark.slow
def test_a_failing_run_names_its_log(compare):
    with pytest.raises(SystemExit, match='cifar10_cbsa.py failed: see .*output.log'):
        compare('optim_wrapper.optimizer.type=Lyon')
