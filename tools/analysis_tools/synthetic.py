"""Compresses points around lines in R^3 and draws the result (figure 4 of the paper).

The points of each line are one class, compressed separately with the linear variant (eq. 12) and
CBSA (eqs. 5, 6 and 8), without parameters. With --at-once, attention sees all points together
without knowing the lines: CBSA still separates a few lines, which a linear map cannot.
"""
from argparse import Namespace

from cbsa_mm.arguments import ArgumentParser, add_output_arguments, integer, positive


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('--lines', type=integer(1), default=10,
                        help='number of 1-D subspaces; %(default)s by default')
    parser.add_argument('--at-once', action='store_true',
                        help='attend among the points of all lines; try it with --lines 3')
    parser.add_argument('--points', type=integer(64), default=192,
                        help='points per line; %(default)s by default')
    parser.add_argument('--noise', type=positive, default=0.1,
                        help='standard deviation, for points up to 1 from the origin; '
                        '%(default)s by default')
    parser.add_argument('--iterations', type=integer(1), default=30, help='%(default)s by default')
    parser.add_argument('--seed', type=integer(0, 2**32 - 1), default=0,
                        help='%(default)s by default')
    add_output_arguments(parser, 'synthetic.png')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import json
from itertools import islice

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


def main(args: Namespace) -> None:
    points, directions = noisy_lines(args.lines, args.points, args.noise,
                                     torch.Generator().manual_seed(args.seed))
    classes = points.flatten(0, 1)[None] if args.at_once else points
    variants = {'linear variant, eq. 12': contract_linearly(classes, args.noise),
                'CBSA': contract_and_broadcast(classes)}
    clouds, results = {'before': points}, {}
    for name, iterations in variants.items():
        history = [points]
        history += [z.view_as(points) for z in
                    track(islice(iterations, args.iterations), name, args.iterations)]
        clouds[name] = history[-1]
        results[name] = dict(
            coding_rate=[coding_rate(z[:, None]).mean().item() for z in history],
            energy_off_lines=[energy_off_lines(z, directions).item() for z in history])
    write_whole(args.out, lambda file: draw(clouds, results).savefig(file, dpi=100))
    print(f'The picture is {args.out}')
    if args.json:
        write_whole(args.json, lambda file: file.write_text(json.dumps(results, indent=1)))


def draw(clouds: dict[str, Tensor], results: dict) -> Figure:
    """The points before and after, and coding rates vs. iterations."""
    matplotlib.use('agg')
    figure = Figure((12.5, 3.2), layout='constrained')
    for i, (title, points) in enumerate(clouds.items()):
        axes = figure.add_subplot(1, len(clouds) + 1, i + 1, projection='3d')
        colors = matplotlib.colormaps['viridis'](torch.linspace(0, 0.95, len(points)))
        for line, color in zip(points, colors):
            axes.scatter(*line.T.numpy(), s=7, color=color, alpha=0.7, linewidth=0)
        axes.set(title=title, xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1),
                 xticklabels=[], yticklabels=[], zticklabels=[])
        axes.set_box_aspect((1, 1, 1), zoom=1.2)
    axes = figure.add_subplot(1, len(clouds) + 1, len(clouds) + 1)
    for (name, values), style in zip(results.items(), ('-', '--')):
        axes.plot(values['coding_rate'], style, color='black', label=name)
    axes.set(title='compression', xlabel='iteration')
    axes.set_ylabel("coding rate of a line's points (nats)")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure


if __name__ == '__main__':
    with report_user_errors():
        main(args)
