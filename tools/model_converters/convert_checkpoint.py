"""Converts released weights to OpenMMLab's names, and back.

Converts CBT classifiers and segmenters as released by their authors, and ViT weights with timm's
names (.pth, .safetensors) or in the JAX layout (.npz). SRC is recognised by its tensors.
"""
from argparse import Namespace
from pathlib import Path

from cbsa_mm.arguments import (
    WEIGHTS,
    ArgumentParser,
    add_trust_argument,
    existing_file,
    integer,
    output_file,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('src', type=existing_file, metavar='SRC', help='released checkpoint')
    parser.add_argument('dst', type=output_file(*WEIGHTS), metavar='DST',
                        help='file to write, such as cbt-s.pth')
    parser.add_argument(
        '--to', choices=['mmseg', 'mmpretrain', 'official'],
        help='the library, for weights that fit both (mmseg by default for a ViT); or '
        'official, to write the released layout of a converted or trained checkpoint')
    parser.add_argument(
        '--config', type=output_file('.py'), metavar='OUT.py',
        help='write a config for these weights, inheriting from a shipped one if it fits')
    parser.add_argument(
        '--num-heads', type=integer(1),
        help='number of heads of a ViT of unusual width, which its tensors do not show')
    add_trust_argument(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from rich.console import Console
from rich.table import Table

from cbsa_mm.checkpoints.convert_file import Report, convert_file, restore_file
from cbsa_mm.engine import report_user_errors

CONFIGS = Path(__file__).parents[2] / 'configs'


def show(report: Report, args: Namespace) -> None:
    """Prints the properties of the weights."""
    facts = report.facts
    table = Table('found', 'value', title=report.converted.family.title, title_justify='left')
    rows = {
        'width': facts['embed_dims'],
        'layers': facts['num_layers'],
        'heads': facts['num_heads'] or 'unknown: give --num-heads',
        'head width': facts['head_dims'],
        'image size': facts['img_size'] and '{} x {}'.format(*facts['img_size']),
        'patch size': facts['patch_size'],
        'decoder layers': facts.get('decoder_num_layers'),
        'decoder heads': facts.get('decoder_num_heads'),
        'decoder head width': facts.get('decoder_head_dims'),
        'classes': facts.get('num_classes'),
        'mean, std of pixels': f'{facts["mean"]}, {facts["std"]}',
        'parameters': f'{facts["num_parameters"]:,}',
        'unused and omitted': ', '.join(report.converted.released['unused']),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, str(value))
    Console().print(table)
    print(f'{args.dst} has the weights for {report.converted.library}')


def advise(report: Report, args: Namespace) -> None:
    """Prints the matching config and the next command."""
    config = args.config or report.shipped
    if report.shipped:
        print(f'{report.shipped.relative_to(CONFIGS.parent)} fits')
    elif report.cfg and not config:
        print('No shipped config fits; --config OUT.py writes one')
    if not config:
        return
    if args.config:
        print(f'{args.config} is the config for them')
    if report.is_encoder:
        option = '' if args.config else \
            f' --cfg-options model.backbone.init_cfg.checkpoint={args.dst}'
        print(f'Train: python -m cbsa_mm train {config}{option}')
    else:
        print(f'Test: python -m cbsa_mm test {config} {args.dst}')


def main(args: Namespace) -> None:
    if args.to == 'official':
        title = restore_file(args.src, args.dst, args.trust_checkpoint)
        print(f'{args.dst} has the {title} in its released layout')
        return
    report = convert_file(
        args.src, args.dst, CONFIGS, library=args.to, num_heads=args.num_heads,
        config=args.config, trust=args.trust_checkpoint)
    show(report, args)
    advise(report, args)


if __name__ == '__main__':
    with report_user_errors():
        main(args)
