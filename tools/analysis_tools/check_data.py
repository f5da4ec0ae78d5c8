"""Checks the data sets of a config before training.

Reads every image and label map as in training, and reports files that are missing, unreadable
or truncated, label maps whose size differs from their image, labels outside the classes; class
frequencies; and sizes and types of the images. Exits with code 1 if anything is wrong.
"""
import os
from argparse import Namespace

from cbsa_mm.arguments import (
    ArgumentParser,
    add_config_arguments,
    add_output_arguments,
    integer,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_config_arguments(parser)
    parser.add_argument('--split', nargs='+', choices=['train', 'val', 'test'],
                        help='data sets to check; by default, all that differ')
    parser.add_argument('--num', type=integer(1), metavar='N',
                        help='read this many images of each, evenly spaced; by default all, or 100 '
                        'of the built-in data')
    parser.add_argument('--workers', type=integer(0), default=min(os.cpu_count(), 8), metavar='N',
                        help='reading processes; %(default)s by default, 0 for the main process')
    add_output_arguments(parser, None)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import json
import sys

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import init_default_scope
from rich.console import Console

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.datasets import ShapesDataset, Survey, build_dataset, survey
from cbsa_mm.engine import (
    check_class_count,
    load_config,
    report_user_errors,
)
from cbsa_mm.errors import UserError, building


def main(args: Namespace) -> None:
    cfg = load_config(args.config, args.cfg_options, detection=True)
    init_default_scope(cfg.default_scope)
    console, surveys = Console(), {}
    for split in args.split or differing_splits(cfg) or ['train']:
        surveys[split] = look_through(cfg, split, args.num, args.workers)
        report(split, surveys[split], console)
    if args.json:
        text = json.dumps({split: plain(found) for split, found in surveys.items()}, indent=1)
        write_whole(args.json, lambda file: file.write_text(text))
    if args.out:
        write_whole(args.out, lambda file: draw(surveys).savefig(file, dpi=100))
    num_faults = sum(len(found.faults) for found in surveys.values())
    console.print(f'\n{num_faults or "no"} faults in {" and ".join(surveys)}')
    sys.exit(1 if num_faults else 0)


def differing_splits(cfg: Config) -> list[str]:
    """The distinct splits of a config; often test is the same as val."""
    datasets = {}
    for split in ('train', 'val', 'test'):
        if loader := cfg.get(f'{split}_dataloader'):
            datasets.setdefault(str(loader.dataset), split)
    return list(datasets.values())


def look_through(cfg: Config, split: str, num: int | None, num_workers: int) -> Survey:
    """Surveys one data set; if it can't be built, that is its only fault."""
    loader = f'{split}_dataloader'
    model = cfg.get('model', {})
    key = 'decode_head' if 'decode_head' in model else 'head'
    num_classes = model[key].get('num_classes') if isinstance(model.get(key), dict) else None
    try:
        if not cfg.get(loader):
            raise UserError(f'the config has no {loader}')
        with building(f'{loader}.dataset'):
            dataset = build_dataset(cfg[loader].dataset)
    except UserError as error:
        return Survey(faults=[str(error)])
    classes = dataset.metainfo.get('classes') or map(str, range(num_classes or 256))
    if isinstance(dataset, ShapesDataset):  # whose images are drawn, and never faulty
        num = num or 100
    found = survey(dataset, list(classes), num_workers, split, num)
    try:
        check_class_count(dataset, key, num_classes)
    except UserError as error:
        found.faults.append(str(error))
    return found


def report(split: str, found: Survey, console: Console) -> None:
    """Prints what was found in one data set."""

    def say(text: str, **kwargs) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True, **kwargs)

    say(f'\n{split}: {found.num_images} images', style='bold')
    if found.kinds:
        say('kinds: ' + ', '.join(f'{n} {kind}' for kind, n in found.kinds.most_common()))
    if found.sizes:
        for side, lengths in sides(found).items():
            say(f'{side}: {lengths.min()} to {lengths.max()} pixels, median '
                f'{np.median(lengths):g}')
    total = found.class_counts.total()
    if total:
        shares = [(name, found.class_counts[i] / total) for i, name in enumerate(found.classes)]
        shares.sort(key=lambda share: -share[1])
        present = [f'{name} {share:.2%}' for name, share in shares if share]
        say(f'most frequent of {len(shares)} classes: {", ".join(present[:5])}')
        say(f'rarest: {", ".join(present[:-6:-1])}')
        never = [name for name, share in shares if not share]
        say(f'never: {", ".join(never) or "none"}')
    for fault in found.faults:
        say(f'- {fault}', style='red')


def sides(found: Survey) -> dict[str, np.ndarray]:
    """Heights and widths of all images."""
    counts = list(found.sizes.values())
    return {side: np.repeat([size[i] for size in found.sizes], counts)
            for i, side in enumerate(('height', 'width'))}


def plain(found: Survey) -> dict:
    """The findings, for JSON."""
    return dict(
        vars(found), sizes=[[*size, count] for size, count in found.sizes.items()],
        class_counts=[found.class_counts[i] for i in range(len(found.classes))])


def draw(surveys: dict[str, Survey]) -> Figure:
    """Class frequencies and image sizes, one row per data set."""
    matplotlib.use('agg')
    figure = Figure((10, 3 * len(surveys)), layout='constrained')
    for row, (split, found) in zip(figure.subplots(len(surveys), 2, squeeze=False),
                                   surveys.items()):
        counts = [found.class_counts[i] for i in range(len(found.classes))]
        row[0].bar(range(len(counts)), counts)
        row[0].set(title=split, xlabel='class', ylabel='pixels, images or objects', yscale='log')
        if len(counts) <= 20:
            row[0].set_xticks(range(len(counts)), found.classes, rotation=90)
        if found.sizes:
            row[1].hist(list(sides(found).values()), bins=20, label=['height', 'width'])
            row[1].set(xlabel='pixels', ylabel='images')
            row[1].legend()
    return figure


if __name__ == '__main__':
    with report_user_errors():
        main(args)
