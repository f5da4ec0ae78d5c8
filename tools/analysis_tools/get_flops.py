"""Counts parameters and FLOPs with PyTorch's counter: 2 per multiply-add of matrix products,
convolutions and attention; normalisations, activations and sums are not counted. The count
does not depend on the device.

Without a config: the paper's models in the plain form of the released code, in our form,
and in deploy form, with the published figures. With a config: its model.
"""
from argparse import Namespace

from cbsa_mm.arguments import (
    ArgumentParser,
    add_json_argument,
    add_options_arguments,
    config_file,
    integer,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('config', nargs='?', type=config_file,
                        help="config file; the paper's models without one")
    add_options_arguments(parser)
    parser.add_argument(
        '--shape', type=integer(1), nargs='+', metavar='PIXELS',
        help="height and width, or side, of a config's image; its img_size by default")
    add_json_argument(parser)
    args = parser.parse_args()
    if args.shape and len(args.shape) > 2:
        parser.error('--shape takes height and width, or one side, in pixels')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import json
import sys
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import load_config, report_user_errors
from cbsa_mm.interpret import count_flops, count_parameters

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks'))
try:
    import oracle  # the plain form, which is not in the wheel
except ImportError:
    oracle = None
NOTES = """\
Published: arXiv 2509.16875v3, which does not say how it counted. Its decoder figures match exactly
without the product of patches and classes. Its figures for the classifiers T, S and B match in all
digits, and L gives 47.35, with the stem, 196 tokens, 2Nd^2 + 3Nmd + 2m^2d multiply-adds for a
layer's CBSA and 2Nd^2 for its ISTA, where the released code needs 3Nd^2. For ISTA, ours needs
2Nd^2 or, if the batch has more tokens than d, Nd^2 + d^3, and Nd^2 in deploy form. Pooling is
counted only in ours, where it consists of products. All counts are for one image."""
NUM_CLASSES = {'classifier': 1000, 'decoder': 150}
# By arch: image size of the decoder in pixels, its layers, published GFLOPs of classifier and
# decoder.
SIZES = {
    'tiny': (512, 3, 1.1, 1.5),
    'small': (512, 3, 4.0, 2.3),
    'base': (512, 6, 15.1, 7.8),
    'large': (640, 9, 47.3, 22.3),
}


def count_classifier(arch: str) -> dict[str, float]:
    """Counts of a CBT classifier for 224 x 224 pixels."""
    from cbsa_mm.backbones import CBT
    image, model = torch.zeros(1, 3, 224, 224), CBT(arch).eval()
    weights = dict(model.named_parameters()) | dict(model.named_buffers())
    attn, d, n = model.layers[0].attn, model.embed_dims, model.grid[0] * model.grid[1]
    m, head = attn.representatives.grid_size**2, 2 * d * NUM_CLASSES['classifier']
    stem = count_flops(model.stem, image)
    # Found by trial: the paper's cost of CBSA on the patches, and ISTA in two products.
    published_way = stem + 2 * model.num_layers * (4 * n * d**2 + 3 * n * m * d + 2 * m**2 * d)
    counts = {
        'parameters': count_parameters(model) + (d + 1) * NUM_CLASSES['classifier'],
        'published': SIZES[arch][2] * 1e9,
        'counted the published way': published_way,
        'ours': count_flops(model, image) + head,
    }
    if oracle:
        counts['plain'] = count_flops(oracle.cbt, image, weights, attn.num_heads) + head
    model.switch_to_deploy()
    counts['ours, deploy'] = count_flops(model, image) + head
    return counts | {f'{name}, without stem': counts[name] - stem
                     for name in ('plain', 'ours', 'ours, deploy') if name in counts}


def count_decoder(arch: str) -> dict[str, float]:
    """Counts of the CBT decoder of the ADE20K configs, without the encoder."""
    from cbsa_mm.backbones.cbt import ARCHS
    from cbsa_mm.decode_heads import CBTMaskTransformerHead
    side, num_layers, _, published = SIZES[arch]
    d, classes = ARCHS[arch]['embed_dims'], NUM_CLASSES['decoder']
    head = CBTMaskTransformerHead(d, num_layers=num_layers, num_classes=classes).eval()
    features, attn = torch.zeros(1, d, side // 16, side // 16), head.layers[0].attn
    n, m = (side // 16)**2 + classes, attn.representatives.grid_size**2
    inner = attn.num_heads * attn.head_dims
    counts = {
        'side of the image': side,
        'parameters': count_parameters(head),
        'published': published * 1e9,
        # Without the product of patches and classes.
        'counted the published way': 2 * num_layers * inner * (2 * n * d + 3 * n * m + 2 * m**2),
        'ours': count_flops(head, [features]),
    }
    if oracle:
        counts['plain'] = count_flops(
            oracle.decoder, features, dict(head.named_parameters()), attn.num_heads,
            attn.representatives.grid_size)
    head.switch_to_deploy()
    return counts | {'ours, deploy': count_flops(head, [features])}


def count_paper() -> dict[str, dict]:
    """Counts of the paper's models, by kind and arch."""
    with torch.device('meta'):
        return {kind: {arch: count_one(arch) for arch in track(SIZES, kind, transient=True)}
                for kind, count_one in (('classifiers at 224 pixels', count_classifier),
                                        ('decoders alone, 150 classes', count_decoder))}


def count_config(args: Namespace) -> dict[str, dict]:
    """Counts of a config's model, its backbone and the rest."""
    from cbsa_mm.inference import build_model, native_size
    cfg = load_config(args.config, args.cfg_options)
    cfg.model.backbone.pop('cache_cfg', None)  # all is to be computed
    model = build_model(cfg).eval().requires_grad_(False)
    height, width = (args.shape * 2)[:2] if args.shape else native_size(cfg)
    image = torch.zeros(1, getattr(model.backbone, 'in_channels', 3), height, width)
    counts = {name: {'parameters': count_parameters(part), 'FLOPs': count_flops(run, image)}
              for name, part, run in (('backbone', model.backbone, model.backbone),
                                      ('all', model, partial(model, mode='tensor')))}
    rest = {key: counts['all'][key] - counts['backbone'][key] for key in counts['all']}
    return {f'{args.config} at {height} x {width} pixels': {
        'backbone': counts['backbone'], 'rest': rest, 'all': counts['all']}}


def render(row: str, value: float) -> str:
    if row == 'parameters':
        return f'{value / 1e6:.2f} M'
    return f'{value:.0f} px' if row == 'side of the image' else f'{value / 1e9:.4g} G'


def show(counts: dict[str, dict]) -> None:
    """Prints tables with one column per model."""
    for title, columns in counts.items():
        table = Table('', *columns, title=f'Parameters and FLOPs: {title}', title_justify='left')
        for row in next(iter(columns.values())):
            table.add_row(row, *(render(row, column[row]) for column in columns.values()))
        Console().print(table)


def main(args: Namespace) -> None:
    counts = count_config(args) if args.config else count_paper()
    show(counts)
    if not args.config:
        print(NOTES)
    if args.json:
        write_whole(args.json, lambda file: file.write_text(json.dumps(counts, indent=1)))


if __name__ == '__main__':
    with report_user_errors():
        main(args)
