"""A training on a full disk stops with one message, loses nothing, and goes on later."""
import os
import subprocess
import sys

import pytest
from tool_process import ROOT, SEGMENTER, curve, records, run

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


def test_a_full_disk(tmp_path):
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
    file = tmp_path / 'work' / 'iter_6.pth'
    assert (f"train.py: error: can't write {file}: No space left on device. "
            'Earlier checkpoints are intact: free disk space, and continue with --resume'
            ) in done.stderr
    run('train', SEGMENTER, '--work-dir', tmp_path / 'alone', log=tmp_path / 'output.log')
    assert curve(records(tmp_path / 'kept')) == curve(records(tmp_path / 'alone'))
