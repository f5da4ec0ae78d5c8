"""Checkpoints that are whole, and what a run goes on from."""
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from small_runner import small_runner

from cbsa_mm.engine import (
    PlainCheckpointHook,
    WholeFileBackend,
    find_checkpoint,
    saving,
    use_resume,
)
from cbsa_mm.engine.saving import claim_work_dir, compare_trainings
from cbsa_mm.errors import UserError


@pytest.fixture
def said(monkeypatch):
    """The messages of cbsa_mm.engine.saving."""
    texts = []
    monkeypatch.setattr(saving, 'print_log', lambda text, *args: texts.append(text))
    return texts


def find(work_dir, **hook):
    return find_checkpoint(Config(dict(work_dir=str(work_dir),
                                       default_hooks=dict(checkpoint=hook))))


def state(**kwargs):
    """The content of a checkpoint of a training."""
    return dict(state_dict=dict(a=torch.ones(1000)), meta=dict(epoch=0, iter=1), message_hub={},
                optimizer={}) | kwargs


@pytest.fixture
def work_dir(tmp_path):
    """Checkpoints, by their ages from old to new, the last of which last_checkpoint names."""
    for i, name in enumerate(['iter_9', 'best_mIoU_iter_9', 'iter_24', 'iter_12', 'iter_6']):
        file = tmp_path / f'{name}.pth'
        torch.save(state(), file)
        os.utime(file, (1e9 + i, 1e9 + i))  # a clock may go back
    (tmp_path / 'last_checkpoint').write_text(f'{tmp_path}/iter_24.pth')
    return tmp_path


def test_resume_takes_the_last(work_dir, said):
    cfg = Config(dict(work_dir=str(work_dir), load_from='pretrained.pth'))
    use_resume(cfg, 'auto')
    assert cfg.resume and cfg.load_from == f'{work_dir}/iter_24.pth'
    use_resume(cfg, 'given.pth')
    assert cfg.load_from == 'given.pth' and said == []


def test_without_checkpoints_a_run_starts_anew(tmp_path, said):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    use_resume(cfg, 'auto')
    assert 'resume' not in cfg and cfg.load_from == 'pretrained.pth'
    assert said == [f'--resume: {tmp_path} has no checkpoint yet, training starts from scratch']


@pytest.mark.parametrize('damage, fault', [
    (lambda content: content[:-100], 'is truncated'), (lambda content: b'', 'is empty'),
    (None, 'there is no checkpoint')])
def test_a_damaged_checkpoint_is_passed_over(damage, fault, work_dir, said):
    def spoil(name):
        file = work_dir / f'{name}.pth'
        file.write_bytes(damage(file.read_bytes())) if damage else file.unlink()

    spoil('iter_24')
    assert find(work_dir) == f'{work_dir}/iter_12.pth'
    assert said[0].startswith(f"{work_dir}/iter_24.pth can't be resumed: ") and fault in said[0]
    spoil('iter_12')
    spoil('iter_9')
    assert find(work_dir) == f'{work_dir}/iter_6.pth'  # the best has no optimizer
    spoil('iter_6')
    with pytest.raises(UserError, match=f"iter_24.pth can't be resumed: .*{fault}.* has no other. "
                       'Use --resume CHECKPOINT'):
        find(work_dir)


def test_any_flipped_bit_is_found(work_dir, said):
    file = work_dir / 'iter_24.pth'
    content = file.read_bytes()
    size = len(content)
    flips = [(place, 1) for place in {*range(0, size, 97), *range(size - 300, size)}]
    entry = content.rfind(b'PK\1\2', 0, content.rfind(b'PK\1\2'))
    for place, bit in [*flips, (entry + 38, 16)]:  # the latter makes the entry a folder
        file.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1:])
        if find(work_dir) == str(file):  # the bit is of a date or the like
            assert torch.load(file, weights_only=True)['state_dict']['a'].equal(torch.ones(1000))


def test_the_pointer_is_no_obstacle(work_dir):
    pointer = work_dir / 'last_checkpoint'
    for text in (b'', b'\0' * 20, b'\xff\xfe', b'iter_24.pth\n'):
        pointer.write_bytes(text)
        assert find(work_dir) == f'{work_dir}/iter_24.pth'
    pointer.unlink()
    assert find(work_dir) == f'{work_dir}/iter_24.pth'


def test_what_cannot_be_resumed_is_passed_over(work_dir, said):
    for change in (dict(optimizer=None), dict(meta=dict(epoch=0)), dict(message_hub=[])):
        torch.save(state(**change), work_dir / 'iter_24.pth')
        assert find(work_dir) == f'{work_dir}/iter_12.pth'


def claim(work_dir, **cfg):
    claim_work_dir(Config(dict(work_dir=str(work_dir), launcher='none', **cfg)))


def test_a_work_dir_has_one_training_at_a_time(tmp_path):
    code = f"""if True:
        import time
        from test_saving import claim
        claim({str(tmp_path)!r})
        print(flush=True)
        time.sleep(60)
    """
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen([sys.executable, '-c', code], text=True, stdout=subprocess.PIPE,
                          env=os.environ | dict(PYTHONPATH=path)) as other:
        assert other.stdout.readline()
        with pytest.raises(UserError, match=f'another training is using {tmp_path}: '):
            claim(tmp_path, resume=True)
        other.kill()
    claim(tmp_path)
    claim(tmp_path)  # the next one of the same process


def test_a_work_dir_that_is_no_folder(work_dir):
    with pytest.raises(UserError, match=f"can't write to the work dir {work_dir}/iter_9.pth: File"):
        claim(work_dir / 'iter_9.pth')


def test_what_the_config_has_changed_is_told(tmp_path, monkeypatch):
    runner, told = small_runner(tmp_path, [1], []), []
    monkeypatch.setattr(runner.logger, 'warning', told.append)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    saved = dict(meta=dict(cfg=runner.cfg.pretty_text), optimizer=runner.optim_wrapper.state_dict())
    runner.cfg.update(resume=True, load_from='a.pth')
    compare_trainings(runner, saved, 'a.pth')
    compare_trainings(runner, saved | dict(meta={}), 'a.pth')  # of another origin
    assert told == []
    runner.cfg.log_level = 'INFO'
    compare_trainings(runner, saved, 'a.pth')
    [text] = told
    assert text.startswith('the config has changed since a.pth was saved. The settings of optimize')
    assert text.endswith("from the config:\n+log_level = 'INFO'")


def test_a_copied_work_dir_goes_on_from_its_own(work_dir, tmp_path_factory):
    copy = shutil.copytree(work_dir, tmp_path_factory.mktemp('copy') / 'work')
    assert find(copy) == f'{copy}/iter_24.pth'
    (copy / 'iter_24.pth').write_bytes(b'')
    assert find(copy) == f'{copy}/iter_12.pth'  # nor from a damaged one to that of the first


class Score(Hook):
    """Validates after every iteration, with given results."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.call_hook('after_val_epoch', metrics=dict(acc=[0.5, 0.4, 0.6][runner.iter]))


def names(folder):
    """The files in a folder, apart from the dumped config."""
    return {path.name for path in folder.iterdir() if path.is_file() and path.suffix != '.py'}


def train(work_dir, iterations, max_keep_ckpts, hooks=(), **kwargs):
    checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=1,
                      max_keep_ckpts=max_keep_ckpts, backend_args=dict(backend='whole'), **kwargs)
    small_runner(work_dir, [1] * iterations, [*hooks, PlainCheckpointHook()], checkpoint).train()


def test_a_checkpoint_stays_until_its_successor_is_whole(tmp_path, monkeypatch):
    put, there = WholeFileBackend.put, []

    def observe(self, content, file):
        there.append((Path(file).name, names(tmp_path)))
        put(self, content, file)

    monkeypatch.setattr(WholeFileBackend, 'put', observe)
    train(tmp_path, 3, 1, [Score()], save_best='acc', save_last=False)
    assert names(tmp_path) == {'iter_3.pth', 'best_acc_iter_2.pth', 'last_checkpoint'}
    there = dict(reversed(there))  # at the first writing of each
    assert 'iter_1.pth' in there['iter_2.pth'] and 'iter_2.pth' in there['iter_3.pth']
    assert 'best_acc_iter_0.pth' in there['best_acc_iter_2.pth']
    assert 'best_acc_iter_1.pth' not in there


def test_as_many_are_kept_as_wanted_and_other_files_too(tmp_path):
    (tmp_path / 'iter_1.pth.old').touch()
    (tmp_path / 'iter_0.pth').touch()
    (tmp_path / '.mine.pth').touch()
    (tmp_path / '.iter_3.half.pth').touch()  # of a killed run
    train(tmp_path, 5, 2)
    assert names(tmp_path) == {'iter_5.pth', 'iter_4.pth', 'iter_0.pth', 'iter_1.pth.old',
                               '.mine.pth', 'last_checkpoint'}
    train(tmp_path / 'all', 3, -1)
    assert {'iter_1.pth', 'iter_2.pth', 'iter_3.pth'} <= names(tmp_path / 'all')


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    write_bytes, left = Path.write_bytes, [1, 1]

    def fill(self, content):
        write_bytes(self, content[:100])
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left.pop()
        write_bytes(self, content)

    monkeypatch.setattr(Path, 'write_bytes', fill)
    with pytest.raises(UserError, match=r"can't write .*iter_3.pth: No space left on device. "
                       'Earlier checkpoints are intact: free disk space, and continue with '
                       '--resume'):
        train(tmp_path, 4, 1)
    assert names(tmp_path) == {'iter_2.pth', 'last_checkpoint'}
    assert find(tmp_path) == f'{tmp_path}/iter_2.pth'


def test_checkpoints_of_other_names_and_places(tmp_path):
    for number in (8, 9, 10):
        file = tmp_path / f'elsewhere/v2_step{number}.ckpt'
        file.parent.mkdir(exist_ok=True)
        torch.save(state(), file)
    (tmp_path / 'last_checkpoint').write_text(str(file))
    assert find(tmp_path) == str(file)
    file.write_bytes(b'')
    assert find(tmp_path) == str(file.with_name('v2_step9.ckpt'))
    (tmp_path / 'last_checkpoint').unlink()
    assert find(tmp_path) is None
    (tmp_path / 'elsewhere').rename(tmp_path / tmp_path.name)
    assert find(tmp_path, out_dir=tmp_path, filename_tmpl='v2_step{}.ckpt').endswith('step9.ckpt')


def test_a_new_training_keeps_the_checkpoints_of_an_earlier_one(work_dir):
    before = {file.name: file.read_bytes() for file in work_dir.glob('*.pth')}
    claim(work_dir)
    backend = WholeFileBackend()
    for name in ('iter_24.pth', 'iter_12.pth'):
        backend.remove(work_dir / name)
        backend.put(b'new', work_dir / 'iter_24.pth')
    [renamed] = work_dir.glob('iter_24.2*.pth')
    assert renamed.read_bytes() == before.pop('iter_24.pth')
    assert (work_dir / 'iter_24.pth').read_bytes() == b'new'
    assert all((work_dir / name).read_bytes() == content for name, content in before.items())
    claim(work_dir, resume=True)
    backend.remove(work_dir / 'iter_12.pth')
    backend.put(b'new', work_dir / 'iter_24.pth')
    assert not (work_dir / 'iter_12.pth').exists()


def a_training(work_dir, hooks=(), end=8, **optimizer):
    runner = small_runner(work_dir, [1] * 8, [*hooks])
    runner.optim_wrapper = runner.build_optim_wrapper(
        dict(optimizer=dict(type='SGD', lr=0.1) | optimizer))
    runner.param_schedulers = runner.build_param_scheduler(
        dict(type='PolyLR', power=0.9, end=end, by_epoch=False))
    return runner


def test_a_schedule_in_steps_goes_on_in_a_longer_training(work_dir):
    runner = a_training(work_dir)
    schedule = dict(type='MultiStepLR', milestones=[9], by_epoch=False)
    runner.param_schedulers = runner.build_param_scheduler(schedule | dict(end=12))
    saved = runner.build_param_scheduler(schedule | dict(end=8))[0].state_dict()
    checkpoint = dict(meta={}, param_schedulers=[saved],
                      optimizer=runner.optim_wrapper.state_dict())
    compare_trainings(runner, checkpoint, 'a.pth')
    assert saved['end'] == 12


@pytest.mark.parametrize('now, message', [
    (dict(end=12), 'param_scheduler.0.end was 8, now 12'),
    (dict(type='AdamW'), 'the optimizer is another'),
    ({}, 'EMAHook is missing'),
])
def test_trainings_are_not_mixed(now, message, tmp_path):
    runner = a_training(tmp_path / '1', [EMAHook()])
    saved = dict(optimizer=runner.optim_wrapper.state_dict(), meta={}, ema_state_dict={},
                 param_schedulers=[runner.param_schedulers[0].state_dict()])
    compare_trainings(a_training(tmp_path / '2', [EMAHook()]), saved, 'a.pth')
    with pytest.raises(UserError, match=f"a.pth can't be resumed .*: {message}"):
        compare_trainings(a_training(tmp_path / '3', [] if not now else [EMAHook()], **now), saved,
                          'a.pth')
