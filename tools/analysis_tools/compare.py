"""Trains configs with the same seeds, data order and budget, and compares the results.

Prints the mean and standard deviation of the last validation's accuracy or mIoU over the seeds, the
time of a training step (interleaved between the configs), its peak memory, and the parameters. To
continue an interrupted comparison, run the same command again.
"""
import argparse
import json
import os
import sys
from pathlib import Path

import torch
from mmengine.config import DictAction
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # for benchmarks/

from benchmarks.comparison import compare_configs  # noqa: E402
from benchmarks.figures import plot_scores  # noqa: E402
from benchmarks.timing import describe_machine  # noqa: E402
from cbsa_mm.checkpoints import write_whole  # noqa: E402
from cbsa_mm.engine import report_user_errors  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', type=Path, help='config files that validate at the '
                        'end of training')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2],
                        help='one training run each; 0 1 2 by default')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        default={}, help='override values of all configs')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare'),
                        help='folder of all runs; %(default)s by default')
    parser.add_argument('--repeats', type=int, default=15, help='number of timed training steps')
    parser.add_argument('--threads', type=int, help="CPU threads; PyTorch's default otherwise")
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all numbers here')
    parser.add_argument('--plot', type=Path, metavar='FILE', help='write a picture here')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.threads:
        os.environ['OMP_NUM_THREADS'] = str(args.threads)
        torch.set_num_threads(args.threads)
    results = compare_configs(args.configs, args.seeds, args.cfg_options, args.work_dir,
                              args.repeats)
    machine = describe_machine(torch.device('cuda' if torch.cuda.is_available() else 'cpu'))
    table = Table(title=f'{len(args.seeds)} seeds')
    for column in ('config', 'parameters, M', 'score', 'ms per step', 'times the first', 'MiB'):
        table.add_column(column, justify='left' if column == 'config' else 'right')
    for name, result in results.items():
        table.add_row(
            name, f'{result["parameters"] / 1e6:.2f}',
            f'{result["mean"]:.1f} ± {result["std"]:.1f}',
            f'{result["median"] * 1e3:.0f}', f'{1 / result["ratio"]:.2f}',
            f'{result["memory"] / 2**20:.0f}')
    console = Console()
    console.width = max(console.width, 100)
    console.print(table)
    console.print(', '.join(f'{key} {value}' for key, value in machine.items()))
    if args.json:
        text = json.dumps(dict(machine=machine, command=' '.join(sys.argv), results=results),
                          indent=1)
        write_whole(args.json, lambda file: file.write_text(text))
    if args.plot:
        plot_scores(results, args.plot)
        console.print(f'Figure: {args.plot}')


if __name__ == '__main__':
    with report_user_errors():
        main()
