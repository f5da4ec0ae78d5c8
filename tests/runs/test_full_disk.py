"""A training on a full disk stops with one message, loses nothing, and goes on later."""
import os
import resource
import subprocess
import sys
import time

import pytest
from tool_process import ROOT, SEGMENTER, curve, records, run, start

from cbsa_mm.engine import find_checkpoint

pytestmark = pytest.mark.slow
# In a mount namespace of its own: on a small disk, and, when that was full, on a larger one.
SMALL_DISK = f'''
mount -t tmpfs -o size=500k tmpfs work
{sys.executable} {ROOT}/tools/train.py {SEGMENTER} --work-dir work && exit 2
[ "$(cat work/last_checkpoint)" = "$PWD/work/iter_3.pth" ] || exit 3
[ -z "$(find work -name '.*.pth' -o -name 'iter_6*')" ] || exit 4
mount -o remount,size=5m work
{sys.executable} {ROOT}/tools/train.py {SEGMENTER} --work-dir work --resume || exit 5
cp -r work kept
'''


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
    """What a training with room enough sees and reaches."""
    folder = tmp_path_factory.mktemp('alone')
    run('train', SEGMENTER, '--work-dir', folder, log=folder / 'output.log')
    return curve(records(folder))


def test_a_full_disk(alone, tmp_path):
    namespace = ['unshare', '--user', '--map-root-user', '--mount']
    probe = subprocess.run([*namespace, 'mount', '-t', 'tmpfs', 'tmpfs', tmp_path],
                           capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f'a small disk wants a user namespace: {probe.stderr.strip()}')
    (tmp_path / 'work').mkdir()
    done = subprocess.run(
        [*namespace, 'bash', '-c', SMALL_DISK], cwd=tmp_path, text=True, capture_output=True,
        env=os.environ | dict(PYTHONPATH=f'{ROOT}:{ROOT}/tests'))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (f"train.py: error: can't write {tmp_path}/work/iter_6.pth: No space left on device. "
            'Earlier checkpoints are intact: free disk space, and continue with --resume'
            ) in done.stderr
    assert curve(records(tmp_path / 'kept')) == alone


def test_a_quota(alone, tmp_path):
    """Set on the running process, below the size of its second checkpoint."""
    log = tmp_path / 'output.log'
    process = start('train', SEGMENTER, '--work-dir', tmp_path / 'work', log=log)
    first = tmp_path / 'work/iter_3.pth'
    while not first.exists():
        assert process.is_alive(), log.read_text()[-3000:]
        time.sleep(0.001)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (200_000, 200_000))
    process.join()
    assert process.exitcode == 1
    assert f"can't write {tmp_path}/work/iter_6.pth: File too large" in log.read_text()
    assert find_checkpoint(tmp_path / 'work') == str(first)
    run('train', SEGMENTER, '--work-dir', tmp_path / 'work', '--resume', log=log)
    assert curve(records(tmp_path / 'work')) == alone
