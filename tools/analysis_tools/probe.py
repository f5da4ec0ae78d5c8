"""Measures layer by layer, over a data set, how much models compress their tokens.

Draws one of two pictures, with mean and standard deviation over the images:

  compression   coding rates of the tokens before and after each attention, also for tokens of
                unit length, and the sparsity of ISTA's output or ODL's codes (figure 5 of the
                paper)
  reduction     how much the attention reduces the coding rates of tokens and representatives,
                head by head, with step size 1 (figure 6)

To compare models, such as before and after training, give several CONFIG CHECKPOINT pairs;
the checkpoint 'none' stands for random weights.
"""
from argparse import Namespace

from cbsa_mm.arguments import (
    PICTURES,
    ArgumentParser,
    add_models_arguments,
    integer,
    output_file,
)

COLORS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9']  # of Okabe and Ito


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_models_arguments(parser)
    parser.add_argument('--what', choices=['compression', 'reduction'], default='compression',
                        help='picture to draw; %(default)s by default')
    parser.add_argument('--num', type=integer(0), default=100,
                        help='number of test images, evenly spaced, 0 for all; %(default)s by '
                        'default')
    parser.add_argument('--part', choices=['backbone', 'decode_head'], default='backbone',
                        help='part with the layers; %(default)s by default')
    parser.add_argument('--out', type=output_file(*PICTURES), metavar='PICTURE',
                        help='picture to write; WHAT.png by default')
    parser.add_argument('--json', type=output_file('.json'), metavar='FILE',
                        help='write the numbers of both pictures here, with ranks of A, step '
                        'sizes and subspace overlaps')
    args = parser.parse_args()
    if len(args.models) > len(COLORS):
        parser.error(f'a picture can show at most {len(COLORS)} models')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import json
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.device import get_device
from rich.progress import track

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import (
    load_config,
    report_user_errors,
)
from cbsa_mm.errors import UserError
from cbsa_mm.inference import load_model, predict, read_test_images, use_safe_loading
from cbsa_mm.interpret import LayerRecord, Recorder


def measure(cfg: Config, checkpoint: str, args: Namespace) -> dict:
    """Measures by layer: mean and standard deviation over images, and image-independent ones."""
    model = load_model(cfg, checkpoint, get_device(), args.trust_checkpoint)
    images, values = read_test_images(cfg, args.num), {}
    with Recorder(model) as recorder:
        layers = [layer for layer in recorder.layers if layer.name.startswith(args.part)]
        if not layers:
            raise UserError(f'{cfg.filename} has no attention in its {args.part}')
        for image in track(images, Path(cfg.filename).stem):
            predict(model, model.data_preprocessor(image, False)['inputs'])
            for k, layer in enumerate(layers):
                for name, value in values_of(layer).items():
                    values.setdefault(name, {}).setdefault(k, []).append(value[0])
    results = {name: {statistic: [getattr(torch.stack(by_layer[k]), statistic)(0).tolist()
                                  if k in by_layer else None for k in range(len(layers))]
                      for statistic in ('mean', 'std')} for name, by_layer in values.items()}
    results['step_sizes'] = [{name: step.tolist() for name, step in layer.step_sizes().items()}
                             for layer in layers]
    results['overlap'] = [None if layer.overlap() is None else layer.overlap().tolist()
                          for layer in layers]
    return results


def values_of(layer: LayerRecord) -> dict[str, torch.Tensor]:
    """All measures of a layer, for each image."""
    values = layer.coding_rates()
    values |= {f'normalized_{name}': v for name, v in layer.coding_rates(normalize=True).items()}
    values |= {f'reduction_of_{name}': value for name, value in layer.reductions().items()}
    values |= {name: value.float() for name, value in
               (('sparsity', layer.sparsity()), ('rank', layer.rank())) if value is not None}
    return values


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    results = {}
    for config, checkpoint in args.models:
        cfg = load_config(config, args.cfg_options)
        label = Path(config).stem + (', random weights' if checkpoint == 'none' else '')
        results[label] = measure(cfg, checkpoint, args)
    if args.what == 'reduction' and not any('reduction_of_tokens' in r for r in results.values()):
        raise UserError('none of the models has contracted representatives: there is no '
                        'reduction to draw')
    draw = draw_compression if args.what == 'compression' else draw_reduction
    out = args.out or Path(f'{args.what}.png')
    write_whole(out, lambda file: draw(results).savefig(file, dpi=110))
    print(f'The picture is {out}')
    if args.json:
        write_whole(args.json, lambda file: file.write_text(json.dumps(results, indent=1)))


def draw_compression(results: dict) -> Figure:
    """Coding rates and sparsity of all models vs. depth."""
    matplotlib.use('agg')
    figure = Figure((11, 3.3 + 0.25 * len(results)), layout='constrained')
    for axes, kind, title, unit in zip(
            figure.subplots(1, 3), ('tokens', 'normalized_tokens', 'sparsity'),
            ('coding rate of the tokens', 'the same, for tokens of unit length', 'sparse codes'),
            ('nats, summed over heads', 'nats, summed over heads', 'fraction of zeros')):
        for color, (label, values) in zip(COLORS, results.items()):
            for name, style, when in ((kind, 'o-', 'before attention'),
                                      (f'{kind}_after', 's--', 'after attention')):
                if name in values:
                    curve(axes, values[name], style, color, f'{label}, {when}')
        axes.set(title=title, ylabel=unit, xlabel='layer')
        axes.grid(alpha=0.3)
    lines = figure.axes[0].get_legend_handles_labels()
    figure.legend(*lines, loc='outside lower center', ncols=2, fontsize=8)
    return figure


def curve(axes, values: dict, style: str, color: str, label: str) -> None:
    """Means vs. depth, with a band of one standard deviation."""
    layers = [k for k, mean in enumerate(values['mean']) if mean is not None]
    mean, std = (torch.tensor([values[name][k] for k in layers]) for name in ('mean', 'std'))
    axes.plot(layers, mean, style, color=color, label=label, markersize=4)
    axes.fill_between(layers, mean - std, mean + std, alpha=0.2, color=color, linewidth=0)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))


def draw_reduction(results: dict) -> Figure:
    """Reduction of the coding rates by the attention, layer by layer and head by head."""
    matplotlib.use('agg')
    results = {label: values for label, values in results.items()
               if 'reduction_of_tokens' in values}
    figure = Figure((10, 2.8 * len(results)), layout='constrained')
    for left, (label, values) in zip(figure.subplots(len(results), squeeze=False).flat,
                                     results.items()):
        for axes, name, color, style in ((left, 'tokens', COLORS[0], 'o'),
                                         (left.twinx(), 'representatives', COLORS[1], 's')):
            by_layer = values[f'reduction_of_{name}']
            for k, (mean, std) in enumerate(zip(by_layer['mean'], by_layer['std'])):
                if mean is not None:
                    places = k + 0.8 * torch.arange(len(mean)) / len(mean)
                    axes.errorbar(places, mean, std, fmt=f'{style}-', color=color, markersize=3,
                                  linewidth=0.8, capsize=2)
            axes.set_ylabel(f'of {name} (nats)', color=color)
            axes.tick_params(axis='y', colors=color)
        left.set(title=f'{label}: reduction of the coding rate', xticks=range(k + 1))
    left.set_xlabel('layer; one point per head')
    return figure


if __name__ == '__main__':
    with report_user_errors():
        main(args)
