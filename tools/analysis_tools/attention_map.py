"""Draws what the class token, or positions in an image, attend to, by layer and head.

To compare models, give several CONFIG CHECKPOINT pairs. For CBSA, the map is
the token's row of A^T A, the estimated full attention; in a mask transformer, the classes replace
the class token.
"""
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from cbsa_mm.arguments import (
    PICTURES,
    ArgumentParser,
    add_models_arguments,
    existing_file,
    images_last,
    output_file,
    share,
)


def place(text: str) -> tuple[float, float]:
    y, _, x = text.partition(',')
    try:
        return share(y), share(x)
    except ArgumentTypeError as error:
        raise ArgumentTypeError('it takes fractions of height and width from 0 to 1, such '
                                f'as 0.5,0.25, not {text}') from error


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_models_arguments(parser)
    parser.add_argument('image', type=existing_file, help='image file')
    parser.add_argument('--layers', nargs='+', type=int, default=[-1],
                        help='indices of the layers; the last by default')
    parser.add_argument('--part', choices=['backbone', 'decode_head'], default='backbone',
                        help='part with the layers; %(default)s by default')
    parser.add_argument('--places', nargs='+', metavar='Y,X', type=place, default=[],
                        help='query positions as fractions of height and width, such as 0.5,0.25')
    parser.add_argument('--classes', nargs='+', default=[], metavar='NAME',
                        help="query classes of a decode_head; by default those in the image")
    parser.add_argument('--out', type=output_file(*PICTURES), default='attention.png',
                        help='picture to write; %(default)s by default')
    return parser.parse_args(images_last(sys.argv[1:]))


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from mmengine.device import get_device
from rich.progress import track

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import (
    load_config,
    report_user_errors,
)
from cbsa_mm.errors import UserError
from cbsa_mm.inference import load_model, predict, read_image, use_safe_loading
from cbsa_mm.interpret import LayerRecord, Recorder, attention_maps, enlarge, patch_index


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    rows = []
    for config, checkpoint in track(args.models, 'models'):
        cfg = load_config(config, args.cfg_options)
        model = load_model(cfg, checkpoint, get_device(), args.trust_checkpoint)
        inputs, image = read_image(cfg, model, args.image)
        with Recorder(model) as recorder:
            logits = predict(model, inputs)
        layers = [layer for layer in recorder.layers if layer.name.startswith(args.part)]
        for i in args.layers:
            if not -len(layers) <= i < len(layers):
                raise UserError(f'{config} has {len(layers)} layers that can be recorded in its '
                                f'{args.part}, but no layer {i}')
            layer, label = layers[i], f'{Path(config).stem}\n{args.part} layer {i % len(layers)}'
            for name, index, place in queries(layer, args, model, logits):
                maps = enlarge(attention_maps(layer, [index])[0, :, 0], image.shape[:2])
                rows.append((f'{label}\n{name}', image, place, maps))
    write_whole(args.out, lambda file: draw(rows).savefig(file, dpi=100))
    print(f'The picture is {args.out}')


def queries(layer: LayerRecord, args: Namespace, model, logits) -> list:
    """The queries: names, token indices, and positions in the image if any."""
    height, width = layer.image_grid
    chosen = [(f'y {y:g}, x {x:g}', patch_index(layer, y, x), (y, x)) for y, x in args.places]
    if args.part == 'backbone':
        return [('class token', 0, None)] * bool(layer.num_extra_tokens) + chosen
    names = list(model.dataset_meta['classes'])
    unknown = set(args.classes) - set(names)
    if unknown:
        raise UserError(f'{", ".join(sorted(unknown))}: not among the classes of the model, '
                        f'{", ".join(names)}')
    classes = [names.index(name) for name in args.classes]
    if not classes and not chosen:  # those in the image, largest first
        counts = np.bincount(logits[0].argmax(0).flatten().cpu().numpy())[:len(names)]
        classes = [k for k in counts.argsort()[::-1][:3] if counts[k]]
    return [(names[k], height * width + k, None) for k in classes] + chosen


def draw(rows: list) -> Figure:
    """One row per model, layer and query: the image, then the heads' maps overlaid on it."""
    matplotlib.use('agg')
    columns = 1 + max(len(maps) for *_, maps in rows)
    figure = Figure((1.9 * columns + 0.8, 1.9 * len(rows) + 0.5), layout='constrained')
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axis in grid.flat:
        axis.set_axis_off()
    for axes, (label, image, place, maps) in zip(grid, rows):
        axes[0].imshow(image)
        axes[0].set_title(label, fontsize=7)
        if place:
            axes[0].plot(place[1] * image.shape[1], place[0] * image.shape[0], 'o', color='white',
                         markeredgecolor='black')
        for head, (axis, values) in enumerate(zip(axes[1:], maps)):
            axis.imshow(image.mean(-1), cmap='gray')
            drawn = axis.imshow(values.cpu().numpy(), cmap='viridis', alpha=0.7, vmin=0, vmax=1)
            axis.set_title(f'head {head}', fontsize=7)
    bar = figure.colorbar(drawn, ax=grid, shrink=0.6)
    bar.set_label('attention,\nscaled per map', fontsize=7)
    bar.ax.tick_params(labelsize=7)
    return figure


if __name__ == '__main__':
    with report_user_errors():
        main(args)
