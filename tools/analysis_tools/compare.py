"""Trains configs with the same seeds, data order and budget, and compares the results.

Prints the mean and standard deviation of the last validation's accuracy or mIoU over the seeds, the
time of a training step (interleaved between the configs), its peak memory, and the parameters
that are trained. Runs that the JSON file has already are not repeated: to continue an interrupted
comparison, run the same command again.
"""
from argparse import Namespace
from pathlib import Path

from cbsa_mm.arguments import (
    PICTURES,
    ArgumentParser,
    add_options_arguments,
    config_file,
    integer,
    output_file,
    output_folder,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('configs', nargs='+', type=config_file, help='config files that validate '
                        'at the end of training')
    parser.add_argument('--seeds', nargs='+', type=integer(0, 2**32 - 1), default=[0, 1, 2],
                        help='one training run each; 0 1 2 by default')
    add_options_arguments(parser)
    parser.add_argument('--work-dir', type=output_folder, default='work_dirs/compare',
                        help='folder of all runs; %(default)s by default')
    parser.add_argument('--json', type=output_file('.json'), metavar='FILE',
                        help='file of the results, written after each run, with those of other '
                        'configs and seeds that it has; results.json in the work dir by default')
    parser.add_argument('--repeats', type=integer(0), default=15,
                        help='number of timed training steps; 0 to train alone')
    parser.add_argument('--jobs', type=integer(1), default=1, help='trainings at a time')
    parser.add_argument('--threads', type=integer(1),
                        help="CPU threads of each; PyTorch's default otherwise")
    parser.add_argument('--plot', type=output_file(*PICTURES), metavar='FILE',
                        help='draw the learning curves here')
    args = parser.parse_args()
    if len(set(args.seeds)) < len(args.seeds):
        parser.error('argument --seeds: give each once; equal ones give equal results')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import os
import sys

import torch
from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # for benchmarks/

from benchmarks.comparison import compare_configs
from benchmarks.figures import plot_curves
from cbsa_mm.engine import report_user_errors


def main(args: Namespace) -> None:
    if args.threads:
        os.environ['OMP_NUM_THREADS'] = str(args.threads)
        torch.set_num_threads(args.threads)
    folder = Path(args.work_dir)
    results = compare_configs([Path(config) for config in args.configs], args.seeds,
                              args.cfg_options, folder, args.json or folder / 'results.json',
                              args.repeats, args.jobs)
    table = Table(title=f'{len(args.seeds)} seeds', box=box.MARKDOWN)
    for column in ('config', 'score', 'trained, M', 'ms per step', 'times the first', 'MiB'):
        table.add_column(column, justify='left' if column == 'config' else 'right')
    for name, result in results.items():
        measured = (
            f'{result["parameters"] / 1e6:.2f}', f'{result["median"] * 1e3:.0f}',
            f'{1 / result["ratio"]:.2f}', f'{result["memory"] / 2**20:.0f}'
        ) if 'median' in result else ()
        table.add_row(name, f'{result["mean"]:.1f} ± {result["std"]:.1f}', *measured)
    console = Console()
    console.width = max(console.width, 100)
    console.print(table)
    if args.plot:
        plot_curves(results, args.plot)
        console.print(f'Figure: {args.plot}')


if __name__ == '__main__':
    with report_user_errors():
        main(args)
