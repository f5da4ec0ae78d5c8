"""The command-line tools, in this process or in their own, which start fast and may be killed."""
import json
import multiprocessing
import os
import random
import runpy
import socket
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]
SEGMENTER = ROOT / 'tests/runs/segmenter.py'

# Each process is a fork of one that has imported the libraries, and done nothing else.
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['cbsa_mm', 'mmseg.apis', 'mmpretrain.apis'])


def call(tool, *arguments):
    """Runs the tool TOOL.py in this process."""
    [path] = map(str, ROOT.glob(f'tools/**/{tool}.py'))
    # Formatting a config for the log takes longer than many of the runs.
    with mock.patch.object(sys, 'argv', [path, *map(str, arguments)]), \
            mock.patch('yapf.yapflib.yapf_api.FormatCode', lambda text, **style: (text, False)):
        runpy.run_path(path, run_name='__main__')


def start(tool, *arguments, log, cwd='.'):
    """Starts tools/TOOL.py in the folder ``cwd``; its output goes to the file ``log``."""
    process = CONTEXT.Process(
        target=_run, args=(tool, [*map(str, arguments)], str(log), str(cwd)))
    process.start()
    return process


def run(tool, *arguments, log, cwd='.'):
    """Runs tools/TOOL.py to its end, and gives its output."""
    process = start(tool, *arguments, log=log, cwd=cwd)
    process.join()
    assert process.exitcode == 0, Path(log).read_text()[-3000:]
    return Path(log).read_text()


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


@contextmanager
def serving(tool, *arguments, log, cwd='.'):
    """Runs a tool that serves a page, and gives its address."""
    port = free_port()
    process = start(tool, *arguments, '--port', port, log=log, cwd=cwd)
    try:
        _wait(process, lambda: _is_listening(port))
        yield f'http://127.0.0.1:{port}'
    finally:
        process.terminate()
        process.join()


def _is_listening(port):
    with socket.socket() as client:
        return client.connect_ex(('127.0.0.1', port)) == 0


def _run(tool, arguments, log, cwd):
    with open(log, 'a') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(cwd)
    call(tool, *arguments)


def records(work_dir, rank=0):
    """What tests/recorder.py wrote down, apart from a line that a kill cut off."""
    file = Path(work_dir, f'rank{rank}.jsonl')
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith('\n')]


def curve(lines):
    """The records by iteration and kind; a repeated one must be the same each time."""
    found = {}
    for line in lines:
        key = line['iter'], 'metrics' in line
        assert found.setdefault(key, line) == line
    return found


def train_with_kills(work_dir, kills, seed, *options, interval):
    """Trains with SIGKILLs at random times, and resumes each time where it was.

    Every second kill hits the writing of a checkpoint.

    Returns:
        How many iterations had to be done again after each kill.
    """
    work_dir, rng, stops = Path(work_dir), random.Random(seed), []
    work_dir.mkdir()
    arguments = ('train', SEGMENTER, '--work-dir', work_dir, '--resume', *options)
    for kill in range(kills):
        target = len(records(work_dir)) + rng.randrange(1, 2 * interval + 1)
        left = _half_written(work_dir)
        process = start(*arguments, log=work_dir / 'output.log')
        _wait(process, lambda: len(records(work_dir)) >= target)  # noqa: B023
        if kill % 2:
            _wait(process, lambda: _half_written(work_dir) - left)  # noqa: B023
        else:
            time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.join()
        pointer = work_dir / 'last_checkpoint'
        saved = Path(pointer.read_text()).stem if pointer.exists() else 'iter_0'
        stops.append((len(records(work_dir)), int(saved.removeprefix('iter_'))))
    run(*arguments, log=work_dir / 'output.log')
    lines = records(work_dir)
    for count, saved in stops:
        assert next(line['iter'] for line in lines[count:] if 'loss' in line) == saved + 1
    return [lines[count - 1]['iter'] - saved for count, saved in stops]


def _half_written(folder):
    """Checkpoints that are being written, or were when a run was killed, and since when."""
    with suppress(FileNotFoundError):  # it may get its name in between
        return {(file, file.stat().st_mtime_ns) for file in folder.glob('.*.pth')}
    return set()


def _wait(process, condition):
    while not condition():
        assert process.is_alive(), 'the process ended too early'
        time.sleep(0.0005)
