"""Proves on a GPU what the CPU tests cannot, and measures there, within ten minutes.

Nothing is downloaded. Each step writes to its own files as it goes, and none stops the others or
takes more than a third of the time: tests first, then the parts of the benchmark.
"""
import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
BENCHMARK = ['tools/analysis_tools/benchmark.py', '--device', '{device}', '--json', '{json}']
PYTEST = ['-m', 'pytest', '-p', 'no:cacheprovider', '-v', '-s', '--device', '{device}']
RELEASED = ['-m', 'released', *(str(file) for file in sorted(ROOT.glob('tests/**/test_*.py'))
                                if 'mark.released' in file.read_text())]
TESTS = {
    'parity-float32': [*PYTEST, *RELEASED],
    'tests': [*PYTEST, '-m', 'not soak', 'tests/test_gpu.py', 'tests/engine/test_guard.py',
              'tests/engine/test_waiting.py'],
    'parity-float16': [*PYTEST, *RELEASED, '--dtype', 'float16'],
    'parity-bfloat16': [*PYTEST, *RELEASED, '--dtype', 'bfloat16'],
}
SIDES = '224 384 512 768 1024 1536 2048'.split()
PARTS = {  # and how each is made small
    'throughput': ([], ['--archs', 'tiny', '--sides', '64']),
    'scaling': (['--sides', *SIDES], ['--sides', '64']),
    'memory': ([], ['--sides', '64']),
    'gemm': ([], ['--archs', 'tiny']),
    'decoders': ([], ['--archs', 'tiny']),
    'classifiers': ([], ['--archs', 'tiny']),
    'runner': ([], []),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder for the results')
    parser.add_argument('--device', default='cuda', help='cpu rehearses at a small size')
    parser.add_argument('--minutes', type=float, default=10, help='when to stop')
    parser.add_argument('--only', nargs='+', choices=[*TESTS, *PARTS], default=[*TESTS, *PARTS],
                        metavar='STEP', help=f'steps to run: {", ".join([*TESTS, *PARTS])}')
    args = parser.parse_args()
    if args.device != 'cpu' and not torch.cuda.is_available():
        sys.exit('error: this machine has no GPU; --device cpu rehearses')
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    small = ['--repeats', '1', '--batch', '1'] if args.device == 'cpu' else []
    steps = TESTS | {part: [*BENCHMARK, '--parts', part, *options[bool(small)], *small]
                     for part, options in PARTS.items()}
    end, failed = time.monotonic() + 60 * args.minutes, []
    for name in args.only:
        start = time.monotonic()
        outcome = _run(name, steps[name], args, min(end - start, 20 * args.minutes))
        print(f'{name}: {outcome}, {time.monotonic() - start:.0f} s', flush=True)
        failed += [name] * (outcome != 'done')
    if failed:
        sys.exit(f'not done: {", ".join(failed)}: see {args.out}')


def _run(name: str, command: list[str], args: argparse.Namespace, seconds: float) -> str:
    if seconds <= 0:
        return 'no time left'
    words = dict(device=args.device, json=args.out / f'{name}.json')
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    with open(args.out / f'{name}.txt', 'w') as file:
        process = subprocess.Popen(
            [sys.executable, '-u', *(word.format_map(words) for word in command)], cwd=ROOT,
            env=os.environ | dict(PYTHONPATH=path, PYTHONDONTWRITEBYTECODE='1'),
            stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return 'failed' if process.wait(seconds) else 'done'
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # also the processes that it has started
            return 'out of time'


if __name__ == '__main__':
    main()
