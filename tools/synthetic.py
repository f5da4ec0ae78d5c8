"""Compresses points around lines in R^3 and draws what becomes of them, as the paper's figure 4.

CBSA sees all points at once, and is not told of the lines. The linear variant, eq. 12, is a linear
map of the points that it sees; it cannot tell lines apart, as the third picture shows, and is given
the points of one line at a time in the second.
"""
import argparse
import json
from itertools import islice
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from rich.progress import track
from torch import Tensor

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import report_user_errors
from cbsa_mm.interpret import coding_rate
from cbsa_mm.interpret.synthetic import (
    contract_and_broadcast,
    contract_linearly,
    energy_off_lines,
    noisy_lines,
)

COLORS = ['#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00']  # of Okabe and Ito


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--lines', type=int, default=3, choices=range(2, len(COLORS) + 1),
                        help='1-D subspaces; %(default)s by default')
    parser.add_argument('--points', type=int, default=192, help='on each; %(default)s by default')
    parser.add_argument('--noise', type=float, default=0.1,
                        help='standard deviation; points lie up to 1 from the origin; '
                        '%(default)s by default')
    parser.add_argument('--iterations', type=int, default=30, help='%(default)s by default')
    parser.add_argument('--seed', type=int, default=0, help='of the noise; %(default)s by default')
    parser.add_argument('--out', type=Path, default=Path('synthetic.png'),
                        help='picture to write; %(default)s by default')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the numbers here')
    args = parser.parse_args()
    if args.points < 64 or args.iterations < 1 or args.noise <= 0:
        parser.error('there must be at least 64 points on each line, an iteration, and some noise')
    return args


def main() -> None:
    args = parse_args()
    points, directions = noisy_lines(args.lines, args.points, args.noise,
                                     torch.Generator().manual_seed(args.seed))
    at_once = points.flatten(0, 1)[None]
    variants = {
        'CBSA\nall points at once': contract_and_broadcast(at_once),
        'eq. 12\neach line by itself': contract_linearly(points, args.noise),
        'eq. 12\nall points at once': contract_linearly(at_once, args.noise),
    }
    clouds, results = {'before\n': points}, {}
    for name, iterations in variants.items():
        history = [points]
        history += [z.view_as(points) for z in track(
            islice(iterations, args.iterations), name.replace('\n', ', '), args.iterations)]
        clouds[name] = history[-1]
        results[name.replace('\n', ', ')] = dict(
            rate_of_lines=[coding_rate(z[:, None]).mean().item() for z in history],
            rate_of_all=[coding_rate(z.reshape(1, 1, -1, 3)).item() for z in history],
            energy_off_lines=[energy_off_lines(z, directions).item() for z in history])
    write_whole(args.out, lambda file: draw(clouds, results).savefig(file, dpi=100))
    print(f'The picture is {args.out}')
    if args.json:
        write_whole(args.json, lambda file: file.write_text(json.dumps(results, indent=1)))


def draw(clouds: dict[str, Tensor], results: dict) -> Figure:
    """The points before and after, and coding rates against iterations."""
    matplotlib.use('agg')
    figure = Figure((3 * len(clouds) + 3.6, 3.2), layout='constrained')
    for i, (title, points) in enumerate(clouds.items()):
        axes = figure.add_subplot(1, len(clouds) + 1, i + 1, projection='3d')
        for line, color in zip(points, COLORS):
            axes.scatter(*line.T.numpy(), s=7, color=color, alpha=0.7, linewidth=0)
        axes.set(title=title, xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1),
                 xticklabels=[], yticklabels=[], zticklabels=[])
        axes.set_box_aspect((1, 1, 1), zoom=1.2)
    axes = figure.add_subplot(1, len(clouds) + 1, len(clouds) + 1)
    for (name, rates), style in zip(results.items(), ('-', '--', ':')):
        axes.plot(rates['rate_of_lines'], style, color='black', label=name)
    axes.set(title='compression', xlabel='iteration')
    axes.set_ylabel("coding rate of a line's points (nats)")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure


if __name__ == '__main__':
    with report_user_errors():
        main()
