"""A killed and resumed training ends where one does that was left alone."""
import pytest
import torch
from tool_process import ROOT, SEGMENTER, curve, records, run, train_with_kills

pytestmark = pytest.mark.slow


def state(file):
    """What a checkpoint holds of a run, apart from dates and times."""
    checkpoint = torch.load(file, weights_only=True)
    keys = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
    losses = checkpoint['message_hub']['log_scalars']['train/loss']
    return [checkpoint[key] for key in keys] + [losses]


def assert_same(first, second):
    """Bit by bit, of tensors in lists and dicts."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, dict | list):
        assert len(first) == len(second)
        for key in first if isinstance(first, dict) else range(len(first)):
            assert_same(first[key], second[key])
    else:
        assert first == second


def check_kills(folder, kills, iterations, interval, seed=0):
    """Trains alone, and with kills and other workers; compares; gives the kills' costs."""
    options = [
        '--cfg-options', f'train_cfg.max_iters={iterations}',
        f'train_cfg.val_interval={2 * interval}',
        f'default_hooks.checkpoint.interval={interval}', f'param_scheduler.1.end={iterations}',
        'default_hooks.average.type=EMAHook']
    alone, killed = folder / 'alone', folder / 'killed'
    run('train', SEGMENTER, '--work-dir', alone, *options, 'train_dataloader.num_workers=2',
        log=folder / 'alone.log')
    costs = train_with_kills(killed, kills, seed, *options, interval=interval)

    reached = curve(records(killed))
    assert reached == curve(records(alone))
    assert len(reached) == iterations + -(-iterations // (2 * interval))  # the last one, too
    last = f'iter_{iterations}.pth'
    assert_same(state(killed / last), state(alone / last))
    assert max(costs) <= interval  # nothing beyond the last checkpoint
    assert not list(killed.glob('.*.pth'))  # what a kill left half written
    return costs


def test_kills_change_nothing(tmp_path):
    check_kills(tmp_path, kills=3, iterations=24, interval=3)


@pytest.mark.soak
def test_many_kills_change_nothing(tmp_path):
    costs = check_kills(tmp_path, kills=25, iterations=250, interval=10, seed=1)
    print('\n25 SIGKILLs over 250 iterations, a checkpoint every 10: losses, validations, weights '
          'and optimizer bit-equal to a run without; iterations done again after a kill: '
          f'{sum(costs) / len(costs):.1f} on average, {max(costs)} at most')


@pytest.mark.parametrize('num_workers', [0, 2])
def test_epochs_resume(num_workers, tmp_path):
    """Also a run whose seed nobody chose, and with another number of workers."""

    def train(name, num_workers, *arguments):
        run('train', ROOT / 'tests/runs/classifier.py', '--work-dir', tmp_path / name, *arguments,
            '--cfg-options', f'train_dataloader.num_workers={num_workers}', log=tmp_path / 'log')
        return curve(records(tmp_path / name))

    alone = train('alone', 2 - num_workers)
    resumed = train('resumed', num_workers, '--resume', tmp_path / 'alone/epoch_1.pth')
    assert len(alone) == 3 * (3 + 1)
    # The validation after the first epoch is done again: the checkpoint was written before.
    assert resumed == {key: line for key, line in alone.items() if key[0] > 3 or key == (3, True)}
    pixels = [line['pixels'] for line in alone.values() if 'loss' in line]
    assert len({*sum(pixels[:3], [])}) == 12 and pixels[:3] != pixels[3:6]
