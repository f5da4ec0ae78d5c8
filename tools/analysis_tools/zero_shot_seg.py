"""Measures zero-shot segmentation with the class token's attention.

Protocol, after DINO (arXiv 2104.14294) and CRATE (arXiv 2308.16271):
  1. Image and mask are resized to the img_size of the model's backbone, or --size, without
     cropping.
  2. The class token's row of the attention, A^T A for CBSA, is a map over the patches for each
     layer and head. The fewest patches that hold 60 % of its mass, or --threshold, are kept, and
     upsampled to the image by nearest neighbours.
  3. Their IoU with foreground, background and boundary is computed over all pixels, separately
     for the three. A layer's score in each image is that of its best head; the row "any" is the
     best of all layers and heads in each image.
  4. Scores are means over images; an image without foreground does not count for the foreground,
     and so on.
In PASCAL VOC 2012, the foreground is all 20 classes, and the boundary the void rim around objects.
For other masks, the boundary is everything within --boundary-width pixels of the
foreground's outline, before resizing, and void pixels belong to none of the three.
Since the ground truth selects the head, even chance scores: compare with the checkpoint 'none',
i.e. random weights.

  zero_shot_seg.py CONFIG CHECKPOINT --voc data/VOCdevkit/VOC2012
  zero_shot_seg.py CONFIG CHECKPOINT CONFIG none --data configs/cbt/cbt-t_shapes.py
  zero_shot_seg.py CONFIG CHECKPOINT --foreground car pedestrian bicyclist
"""
from argparse import Namespace
from pathlib import Path

from cbsa_mm.arguments import (
    ArgumentParser,
    add_models_arguments,
    add_output_arguments,
    config_file,
    integer,
    share,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_models_arguments(parser)
    data = parser.add_mutually_exclusive_group()
    data.add_argument('--voc', type=Path, metavar='ROOT',
                      help='evaluate on PASCAL VOC 2012 val, in this folder VOCdevkit/VOC2012')
    data.add_argument('--data', type=config_file, metavar='CONFIG',
                      help='evaluate on the test set of this segmentation config; by default the '
                      "first model's")
    parser.add_argument('--foreground', nargs='+', metavar='NAME',
                        help='foreground classes of --data; by default all but background')
    parser.add_argument('--boundary-width', type=integer(1), default=2, metavar='PIXELS',
                        help='for --data: width of the boundary on either side of the '
                        'outline; %(default)s by default')
    parser.add_argument('--size', nargs=2, type=integer(1), metavar=('H', 'W'),
                        help="size that images are resized to; each model's img_size by default")
    parser.add_argument('--threshold', type=share, default=0.6, metavar='MASS',
                        help='fraction of the mass to keep; %(default)s by default')
    parser.add_argument('--num', type=integer(0), default=0,
                        help='number of images, evenly spaced, 0 for all; %(default)s by default')
    add_output_arguments(parser, 'zero_shot.png')
    args = parser.parse_args()
    if args.voc and args.foreground:
        parser.error('--foreground requires --data: in VOC, all 20 classes are foreground')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import json
import sys
from dataclasses import dataclass

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from mmengine.config import Config
from mmengine.device import get_device
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import (
    load_config,
    report_user_errors,
)
from cbsa_mm.errors import UserError
from cbsa_mm.inference import load_model, preprocess, use_safe_loading
from cbsa_mm.inference.masks import MaskedImages, open_test_set, open_voc
from cbsa_mm.interpret import Recorder, attention_maps, iou, segment
from cbsa_mm.interpret.zero_shot import PARTS

SHOWN = 5  # images in the picture
LINES = {
    'foreground': dict(color='white', path_effects=[withStroke(linewidth=2.5, foreground='black')]),
    'kept patches': dict(color='#D55E00'),
}


@dataclass
class Example:
    """The map (H', W') that best fits an image's foreground."""
    map: Tensor
    layer: int
    head: int
    iou: float


@torch.no_grad()
def measure(model: nn.Module, name: str, images: MaskedImages, indices: list[int],
            size: tuple[int, int], mass: float) -> tuple[Tensor, list[Example]]:
    """IoU (n, L, 3) of each layer's best head with the parts of n images, and examples."""
    scores, examples = [], []
    with Recorder(model) as recorder:
        layers = [layer for layer in recorder.layers
                  if layer.name.startswith('backbone.') and layer.num_extra_tokens]
        if not layers:
            raise UserError(f'{name}: the backbone has no class token whose attention can be '
                            "recorded; use one of this package, or mmpretrain's or mmseg's ViT")
        for i in track(indices, name):
            image, masks = images.read(i, size)
            model.extract_feat(preprocess(model, image))
            try:
                maps = torch.stack([attention_maps(layer, [0])[0, :, 0].cpu() for layer in layers])
            except ValueError as error:
                raise UserError(
                    f'{name}: {error}. In this package, CBSA with pooled or learnable '
                    'representatives, MSSA, TSSA, MHSA, AdaptedMHSA and AgentAttention have one'
                ) from error
            if any(pixels % patches for pixels, patches in zip(size, maps.shape[-2:])):
                raise UserError(f'{name}: {size[0]} x {size[1]} pixels are not a multiple of its '
                                'patches; choose another --size')
            ious = torch.stack(
                [iou(segment(m, size, mass).unsqueeze(1), masks) for m in maps])    # (L, h, 3)
            scores.append(ious.amax(1))
            layer, head = divmod(ious[..., 0].argmax().item(), ious.shape[1])
            examples.append(Example(maps[layer, head], layer, head, ious[layer, head, 0].item()))
    return torch.stack(scores), examples


def summarize(scores: Tensor) -> dict[str, dict]:
    """Means over the images that contain a part, for each part that occurs."""
    results = {}
    for part, values in zip(PARTS, scores.unbind(-1)):
        values = values[values.isfinite().all(1)]                               # (n, L)
        if len(values):
            results[part] = dict(num_images=len(values), layers=values.mean(0).tolist(),
                                 any_layer=values.amax(1).mean().item())
    return results


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    if args.voc:
        images = open_voc(args.voc)
    else:
        data = args.data or args.models[0][0]
        images = open_test_set(
            load_config(data, args.cfg_options), args.foreground, args.boundary_width)
    total = len(images.dataset)
    indices = torch.linspace(0, total - 1, min(args.num or total, total)).long().tolist()
    results, rows = [], []
    for config, checkpoint in args.models:
        cfg = load_config(config, args.cfg_options)
        size = find_size(cfg, args.size)
        weights = 'random weights' if checkpoint == 'none' else Path(checkpoint).stem
        name = f'{Path(config).stem}, {weights}'
        model = load_model(cfg, checkpoint, get_device(), args.trust_checkpoint)
        scores, examples = measure(model, name, images, indices, size, args.threshold)
        results.append(dict(name=name, size=size, **summarize(scores)))
        if 'foreground' not in results[-1]:
            raise UserError(f'none of the {len(indices)} images has foreground pixels')
        rows.append((name, size, examples))
    Console().print(tabulate(results))
    write_whole(args.out, lambda file: draw(images, indices, rows, args.threshold).savefig(
        file, dpi=110))
    print(f'The picture is {args.out}')
    if args.json:
        text = json.dumps(dict(command=' '.join(sys.argv), results=results), indent=1)
        write_whole(args.json, lambda file: file.write_text(text))


def find_size(cfg: Config, size: list[int] | None) -> tuple[int, int]:
    """Height and width of a model's images."""
    size = size or cfg.model.backbone.get('img_size')
    if size is None:
        raise UserError(f'{cfg.filename} does not set the img_size of its backbone: use --size')
    return (size, size) if isinstance(size, int) else tuple(size)


def tabulate(results: list[dict]) -> Table:
    """Mean IoU: one row per layer, the best layer, and the best of all heads per image."""
    parts = [part for part in PARTS if all(part in result for result in results)]
    table = Table('model', 'layer', *parts, title='mean IoU')
    for result in results:
        curves = [result[part]['layers'] for part in parts]
        for i, values in enumerate(zip(*curves)):
            table.add_row(result['name'] * (i == 0), str(i), *(f'{v:.3f}' for v in values))
        table.add_row('', 'best', *(f'{max(c):.3f} ({c.index(max(c))})' for c in curves))
        table.add_row('', 'any', *(f'{result[part]["any_layer"]:.3f}' for part in parts),
                      end_section=True)
    return table


def draw(images: MaskedImages, indices: list[int], rows: list, mass: float) -> Figure:
    """Some images, and below, for each model, the map that best fits each one's foreground."""
    matplotlib.use('agg')
    with_foreground = [k for k, example in enumerate(rows[0][2]) if example.iou >= 0]  # not NaN
    shown = np.linspace(0, len(with_foreground) - 1, min(SHOWN, len(with_foreground)))
    shown = [with_foreground[k] for k in shown.astype(int)]
    height, width = rows[0][1]
    figure = Figure((1.7 * len(shown) + 0.4, (1.7 * height / width + 0.4) * (len(rows) + 1) + 0.3),
                    layout='constrained')
    first, *grid = figure.subplots(len(rows) + 1, len(shown), squeeze=False)
    for axis, k in zip(first, shown):
        image, masks = images.read(indices[k], (height, width))
        axis.imshow(image)
        outline(axis, masks[0], 'foreground')
    for axes, (name, size, examples) in zip(grid, rows):
        axes[0].set_ylabel(name.replace(', ', '\n'), fontsize=8)
        for axis, k in zip(axes, shown):
            example = examples[k]
            axis.imshow(example.map, extent=(-0.5, size[1] - 0.5, size[0] - 0.5, -0.5))
            outline(axis, images.read(indices[k], size)[1][0], 'foreground')
            outline(axis, segment(example.map[None], size, mass)[0], 'kept patches')
            axis.set_title(f'layer {example.layer}, head {example.head}\nIoU {example.iou:.2f}',
                           fontsize=8)
    for axis in figure.axes:
        axis.set(xticks=[], yticks=[])
    figure.legend(handles=[Line2D([], [], label=label, **style) for label, style in LINES.items()],
                  loc='outside lower center', ncols=2, fontsize=8)
    return figure


def outline(axis, mask: Tensor, kind: str) -> None:
    style = LINES[kind]
    if mask.any() and not mask.all():
        lines = axis.contour(mask.float().numpy(), levels=[0.5], colors=style['color'],
                             linewidths=1.2)
        lines.set(path_effects=style.get('path_effects'))


if __name__ == '__main__':
    with report_user_errors():
        main(args)
