"""Several processes reach what one does."""
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tool_process import ROOT, SEGMENTER, curve, free_port, records, run

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='two processes want two GPUs, or none')
# Plain SGD: Adam blows up rounding errors of gradients next to zero.
OPTIONS = [
    'train_cfg.max_iters=6', 'default_hooks.checkpoint.max_keep_ckpts=-1',
    'model.backbone.stem=linear',  # has no BatchNorm
    'model.backbone.drop_path_rate=0', 'param_scheduler=None',
    'optim_wrapper.optimizer._delete_=True', 'optim_wrapper.optimizer.type=SGD',
    'optim_wrapper.optimizer.lr=0.01', 'optim_wrapper.optimizer.momentum=0.9'
]
PAIR = [*OPTIONS, 'train_dataloader.batch_size=2']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('distributed')


@pytest.fixture(scope='module')
def launch(folder):
    """Starts a script of tools/, as ``launch(name, *arguments, **environment)``."""
    port, path = str(free_port()), f'{Path(sys.executable).parent}:{os.environ["PATH"]}'

    def launch(script, *arguments, **environment):
        environment = os.environ | dict(
            PATH=path, PORT=port, PYTHONPATH=f'{ROOT}:{ROOT}/tests') | environment
        return subprocess.Popen(
            ['bash', ROOT / f'tools/{script}.sh', *map(str, arguments)], env=environment,
            cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    return launch


def crash(*places):
    """Options that kill processes, each told as (iteration, rank)."""
    text = ','.join(f'({iteration},{rank})' for iteration, rank in places)
    return ['default_hooks.crash.type=Crash', f'default_hooks.crash.places=[{text}]']


def finish(process, code=0):
    """Waits for a script, and gives its output."""
    output = process.communicate(timeout=300)[0]
    assert process.returncode == code, output[-5000:]
    return output


@pytest.fixture(scope='module')
def pair(folder, launch):
    """The work dir of a training by two processes with two samples each."""
    output = finish(launch('dist_train', SEGMENTER, 2, '--work-dir', folder / 'pair',
                           '--cfg-options', *PAIR))
    assert 'No GPU is visible: 2 processes share the work on CPU' in output
    return folder / 'pair'


@pytest.fixture(scope='module')
def single(folder):
    """The same by one process with four samples."""
    run('train', SEGMENTER, '--work-dir', folder / 'single', '--cfg-options', *OPTIONS,
        log=folder / 'single.log')
    return folder / 'single'


def differences(pair, single, iterations):
    """How far two processes are from one: relative, of losses, and absolute, of weights."""
    lines = [curve(records(pair, rank)) for rank in (0, 1)]
    alone, worst = curve(records(single)), 0
    for iteration in range(1, iterations + 1):
        first, second, both = (found[iteration, False] for found in (*lines, alone))
        assert sorted(first['pixels'] + second['pixels']) == sorted(both['pixels'])
        assert first['draw'] != second['draw']
        losses = [float.fromhex(line['loss']) for line in (first, second, both)]
        worst = max(worst, abs(sum(losses[:2]) / 2 / losses[2] - 1))
    weights, expected, earlier = (
        torch.load(work_dir / f'iter_{iteration}.pth', weights_only=True)['state_dict']
        for work_dir, iteration in (
            (pair, iterations), (single, iterations), (single, iterations // 2)))
    assert largest_difference(earlier, expected) > 1e-2
    return worst, largest_difference(weights, expected)


def largest_difference(weights, others):
    return max((weights[name] - others[name]).abs().max().item() for name in weights)


def test_two_processes_train_as_one_does(pair, single):
    loss, weight = differences(pair, single, 6)
    assert loss < 1e-5 and weight < 1e-5
    files = [line['files'] for rank in (0, 1) for line in records(pair, rank) if 'loss' in line]
    assert len({*sum(files, [])}) == 2 * 6 * 2  # no image twice


@pytest.mark.slow
def test_gathered_metrics_are_those_of_one_process(pair, folder, launch):
    """On seven images, which two processes with batches of four can't share evenly."""
    checkpoint, options = pair / 'iter_6.pth', ['--cfg-options', *PAIR]
    finish(launch('dist_test', SEGMENTER, checkpoint, 2, '--work-dir', folder / 'test2', *options))
    run('test', SEGMENTER, checkpoint, '--work-dir', folder / 'test1', *options,
        log=folder / 'test.log')
    [one], [two] = ((folder / name).glob('*/[0-9]*.json') for name in ('test1', 'test2'))
    one, two = (json.loads(file.read_text()) for file in (one, two))
    for metric in ('mIoU', 'aAcc', 'mAcc'):
        assert one[metric] == two[metric]


@pytest.mark.slow
def test_two_machines_go_on_where_they_were(pair, folder, launch):
    """torchrun starts all processes anew after one was killed; every value is as without that."""
    machines = [launch('dist_train', SEGMENTER, 1, '--work-dir', folder / 'machines',
                       '--cfg-options', *PAIR, *crash((5, 1)), NNODES='2', NODE_RANK=str(rank),
                       MASTER_ADDR='127.0.0.1', MAX_RESTARTS='1') for rank in (0, 1)]
    assert 'resumed epoch: 0, iter: 3' in ''.join(map(finish, machines))
    for rank in (0, 1):
        lines = records(folder / 'machines', rank)
        assert curve(lines) == curve(records(pair, rank))
        assert [line['iter'] for line in lines if 'loss' in line] == [1, 2, 3, 4, 4, 5, 6]


def test_settings_out_of_range(launch):
    output = finish(launch('dist_train', SEGMENTER, 2, NNODES='0'), code=1)
    assert output.startswith('error: NNODES=0 should be a whole number from ')
    assert len(output.splitlines()) == 1


@pytest.mark.soak
def test_processes_end_with_their_agent(folder, launch):
    """Orphans would mix their checkpoints with those of the resumed training."""
    for code, stop in ((-9, signal.SIGKILL), (143, signal.SIGTERM)):
        work_dir = folder / f'agent{code}'
        agent = launch('dist_train', SEGMENTER, 2, '--work-dir', work_dir, '--cfg-options', *PAIR,
                       'train_cfg.max_iters=100000')
        while not records(work_dir):
            assert agent.poll() is None
            time.sleep(0.1)
        agent.send_signal(stop)
        assert 'Traceback' not in finish(agent, code)  # which reads until the last process ends


@pytest.mark.soak
def test_two_processes_with_many_crashes(folder, launch):
    """A long training by two processes, of which now one and now the other is killed."""
    rng, options = random.Random(0), [
        *PAIR, 'train_cfg.max_iters=200', 'train_cfg.val_interval=50',
        'default_hooks.checkpoint.interval=10']
    places = [(iteration, rng.randrange(2)) for iteration in sorted(rng.sample(range(5, 200), 6))]
    one, two, crashed = (folder / f'long{i}' for i in range(3))
    run('train', SEGMENTER, '--work-dir', one, '--cfg-options', *options,
        'train_dataloader.batch_size=4', log=folder / 'long.log')
    finish(launch('dist_train', SEGMENTER, 2, '--work-dir', two, '--cfg-options', *options))
    finish(launch('dist_train', SEGMENTER, 2, '--work-dir', crashed, '--cfg-options', *options,
                  *crash(*places), MAX_RESTARTS='6'))
    for rank in (0, 1):
        assert curve(records(crashed, rank)) == curve(records(two, rank))
    loss, weight = differences(two, one, 200)
    print('\n6 SIGKILLs of one of two processes over 200 iterations, restarted by torchrun: every '
          'value as without\n2 x 2 samples against 1 x 4 over 200 iterations of SGD: losses '
          f'differ by a relative {loss:.1g} at most, weights by {weight:.1g}')


SRUN = '''#!/usr/bin/env bash
while [ "$1" != python ]; do shift; done
export SLURM_NTASKS=2 SLURM_NODELIST="node[0-1]"
for rank in 0 1; do SLURM_PROCID=$rank SLURM_LOCALID=$rank "$@" & done
wait -n; wait -n
'''
SCONTROL = '#!/usr/bin/env bash\necho localhost\necho elsewhere\n'


@pytest.mark.slow
def test_slurm_tasks(pair, folder, launch):
    """With an srun that starts its tasks here."""
    for name, text in (('srun', SRUN), ('scontrol', SCONTROL)):
        script = folder / 'bin' / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(text)
        script.chmod(0o755)
    finish(launch('slurm_train', 'partition', 'job', SEGMENTER, '--work-dir', folder / 'slurm',
                  '--cfg-options', *PAIR, 'train_cfg.max_iters=1', GPUS='2',
                  SRUN_ARGS='--gres=none',
                  PATH=f'{folder}/bin:{Path(sys.executable).parent}:{os.environ["PATH"]}'))
    assert records(folder / 'slurm', 1)[0] == records(pair, 1)[0]
