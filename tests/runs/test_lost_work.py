"""What used to lose the work of a training, with real runs."""
import random
import shutil

import pytest
import torch
from mmengine.config import Config
from tool_process import SEGMENTER, records, run, start

from cbsa_mm.engine import find_checkpoint, saving

pytestmark = pytest.mark.soak


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.glob('*.pth')}


def test_no_run_touches_the_work_of_another(tmp_path):
    first, copy, log = tmp_path / 'first', tmp_path / 'copy', tmp_path / 'log'
    save_best = ['--cfg-options', 'default_hooks.checkpoint.save_best=mIoU']
    run('train', SEGMENTER, '--work-dir', first, *save_best, log=log)
    before = contents(first)
    shutil.copytree(first, copy)
    (copy / 'iter_12.pth').unlink()
    run('train', SEGMENTER, '--work-dir', copy, '--resume', *save_best, log=log)
    assert contents(first) == before

    long = start('train', SEGMENTER, '--work-dir', first, *save_best, 'randomness.seed=5',
                 log=log)
    while len(records(first)) < 20:  # the long one is at work
        assert long.is_alive()
    with pytest.raises(AssertionError, match='another training is using'):
        run('train', SEGMENTER, '--work-dir', first, log=tmp_path / 'second')
    long.join()
    assert long.exitcode == 0
    assert set(before.values()) <= set(contents(first).values())


def test_no_damaged_checkpoint_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, 'print_log', lambda *args: None)
    run('train', SEGMENTER, '--work-dir', tmp_path, log=tmp_path / 'log')
    rng, outcomes = random.Random(0), {'the one before': 0, 'unharmed': 0}
    last, before = (tmp_path / f'iter_{number}.pth' for number in (12, 9))
    whole, content = torch.load(last, weights_only=True), last.read_bytes()
    cfg = Config(dict(work_dir=str(tmp_path)))
    for _ in range(1000):
        damaged, place = bytearray(content), rng.randrange(len(content))
        if rng.random() < 0.2:
            del damaged[place:]
        else:
            damaged[place] ^= 1 << rng.randrange(8)
        last.write_bytes(damaged)
        found = find_checkpoint(cfg)
        if found == str(before):
            outcomes['the one before'] += 1
            continue
        outcomes['unharmed'] += 1
        loaded = torch.load(found, weights_only=True)
        for name, tensor in whole['state_dict'].items():
            assert torch.equal(loaded['state_dict'][name], tensor)
    print(f'\n1000 damages to the last checkpoint; what was resumed: {outcomes}')
    assert outcomes['the one before']


def test_an_image_that_is_not_finite_leaves_a_finite_model(tmp_path):
    (tmp_path / 'own.py').write_text(
        f"_base_ = '{SEGMENTER}'\n"
        "custom_imports = dict(imports=['cbsa_mm', 'recorder', 'broken_image'])\n"
        "model = dict(data_preprocessor=dict(type='BrokenImage'))\n")
    run('train', tmp_path / 'own.py', '--work-dir', tmp_path / 'run', log=tmp_path / 'log')
    for file in (tmp_path / 'run').glob('*.pth'):
        state = torch.load(file, weights_only=True)['state_dict']
        assert all(tensor.isfinite().all() for tensor in state.values())
    assert 'Not finite: iteration 4' in (tmp_path / 'log').read_text()
