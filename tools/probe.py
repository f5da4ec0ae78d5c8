"""Measures, layer by layer over a data set, how far a model compresses its tokens.

Draws and tabulates the coding rates of the tokens before and after each attention, those of the
representatives before and after their contraction, and the sparsity of what ISTA puts out, each as
mean and standard deviation over images. Several models, such as one before and after training:
give CONFIG CHECKPOINT pairs one after another; a checkpoint 'none' stands for random weights.
"""
import argparse
import json
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS
from rich.progress import track

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import check_data_folders, load_config, report_user_errors
from cbsa_mm.engine.model import build_model, load_model, predict
from cbsa_mm.interpret import Recorder

LABELS = {
    'tokens': 'tokens, before', 'tokens_after': 'tokens, after',
    'representatives': 'representatives, before',
    'representatives_after': 'representatives, after',
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='+', metavar='CONFIG CHECKPOINT', help='one pair or more')
    parser.add_argument('--num', type=int, default=100, help='images; %(default)s by default')
    parser.add_argument('--part', choices=['backbone', 'decode_head'], default='backbone',
                        help='whose layers; %(default)s by default')
    parser.add_argument('--normalize', action='store_true',
                        help='bring tokens to length one before their rate is measured')
    parser.add_argument('--out', type=Path, default=Path('compression.png'),
                        help='picture to write; %(default)s by default')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the numbers here')
    args = parser.parse_args()
    if len(args.models) % 2:
        parser.error('give a checkpoint for each config: CONFIG CHECKPOINT [CONFIG CHECKPOINT ...]')
    return args


def measure(cfg: Config, checkpoint: str, args: argparse.Namespace) -> dict[str, list]:
    """Values by kind: for each layer, one of each image."""
    if checkpoint == 'none':
        torch.manual_seed(0)
        model = build_model(cfg)
        model.init_weights()
        model.eval()
    else:
        model = load_model(cfg, checkpoint)
    check_data_folders(cfg, ('test_dataloader', ))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    values = {}
    indices = torch.linspace(0, len(dataset) - 1, min(args.num, len(dataset))).long().tolist()
    with Recorder(model) as recorder:
        layers = [layer for layer in recorder.layers if layer.name.startswith(args.part)]
        for i in track(indices, Path(cfg.filename).stem):
            inputs = model.data_preprocessor(pseudo_collate([dataset[i]]), False)['inputs']
            predict(model, inputs)
            for k, layer in enumerate(layers):
                rates = layer.coding_rates(args.normalize)
                if layer.sparse is not None:
                    rates['sparsity'] = layer.sparsity()
                for name, rate in rates.items():
                    values.setdefault(name, [[] for _ in layers])[k] += rate.tolist()
    return values


def main() -> None:
    args = parse_args()
    results = {}
    for config, checkpoint in zip(args.models[::2], args.models[1::2]):
        cfg = load_config(argparse.Namespace(config=config, cfg_options={}))
        label = Path(config).stem + (', random weights' if checkpoint == 'none' else '')
        results[label] = {
            name: dict(zip(('std', 'mean'), map(torch.Tensor.tolist, torch.std_mean(
                torch.tensor(layers), dim=1)))) for name, layers in
            measure(cfg, checkpoint, args).items()}
    write_whole(args.out, lambda file: draw(results).savefig(file, dpi=110))
    print(f'The picture is {args.out}')
    if args.json:
        write_whole(args.json, lambda file: file.write_text(json.dumps(results, indent=1)))


def draw(results: dict) -> Figure:
    """Coding rates of each model, and the sparsity of all, against depth."""
    matplotlib.use('agg')
    figure = Figure((3.4 * (len(results) + 1), 3.2), layout='constrained')
    *panels, last = figure.subplots(1, len(results) + 1)
    last.set_title('sparsity', fontsize=9)
    last.set_ylabel('share of zeros', fontsize=8)
    for axes, (label, curves) in zip(panels, results.items()):
        axes.set_title(f'coding rate\n{label}', fontsize=9)
        axes.set_ylabel('nats, summed over heads', fontsize=8)
        for (name, line), style in zip(LABELS.items(), ('o-', 's--', '^-', 'v--')):
            if name in curves:
                curve(axes, curves[name], style, line)
        if 'sparsity' in curves:
            curve(last, curves['sparsity'], 'o-', label)
    for axes in (*panels, last):
        axes.set_xlabel('layer', fontsize=8)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=7)
    return figure


def curve(axes, values: dict, style: str, label: str) -> None:
    """Means over depth, and a band of one standard deviation."""
    depth, mean, std = range(len(values['mean'])), *map(torch.tensor, (values['mean'],
                                                                       values['std']))
    [line] = axes.plot(depth, mean, style, label=label, markersize=4)
    axes.fill_between(depth, mean - std, mean + std, alpha=0.2, color=line.get_color())
    axes.set_xticks(depth)


if __name__ == '__main__':
    with report_user_errors():
        main()
