"""Measures robustness to perturbed attention layers: mIoU or accuracy vs. perturbation strength.

Plots and tabulates mean and standard deviation over the seeds for each kind of perturbation:
  noise         Gaussian, on every parameter of the layers
  within-heads  random rotation of each head's coordinates; has no effect if the output is tied
  whole-basis   random rotation of the coordinates of all heads at once, which mixes the heads
A rotation is the matrix exponential of skew-symmetric noise. To compare models, give several
CONFIG CHECKPOINT pairs.
"""
from argparse import Namespace

from cbsa_mm.arguments import (
    ArgumentParser,
    add_models_arguments,
    add_output_arguments,
    integer,
    positive,
)

TITLES = {
    'noise': 'noise on every parameter',
    'within-heads': 'rotation within each head',
    'whole-basis': 'rotation across the heads',
}


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_models_arguments(parser)
    parser.add_argument('--part', choices=['decode_head', 'backbone'],
                        help="part with the attention layers; a segmenter's decode_head and a "
                        "classifier's backbone by default")
    parser.add_argument('--kind', nargs='+', choices=TITLES, default=['noise'],
                        help='perturbations; noise by default')
    parser.add_argument('--stds', nargs='+', type=positive, metavar='STD',
                        default=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.],
                        help='standard deviations of the noise, in the exponent for rotations; '
                        'seven from 0.001 to 1 by default')
    parser.add_argument('--seeds', type=integer(1), default=3,
                        help='draws for each; %(default)s by default')
    parser.add_argument('--num', type=integer(0), default=100,
                        help='number of test images, evenly spaced, 0 for all; %(default)s by '
                        'default')
    add_output_arguments(parser, 'perturb.png')
    args = parser.parse_args()
    args.stds.sort()
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import BaseDataElement
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
from cbsa_mm.inference import load_model, read_test_images, use_safe_loading
from cbsa_mm.interpret import (
    add_noise,
    attention_layers,
    perturbed,
    rotate_whole_basis,
    rotate_within_heads,
    with_subspaces,
)

KINDS = {
    'noise': add_noise,
    'within-heads': rotate_within_heads,
    'whole-basis': rotate_whole_basis,
}
METRICS = {'mIoU': 'mIoU', 'accuracy/top1': 'top-1 accuracy'}
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')  # Okabe and Ito's


class Subject:
    """A model, its attention layers and its test images.

    Args:
        config: Config file.
        checkpoint: File with matching weights.
        args: Command-line arguments.

    Raises:
        UserError: If there is nothing to perturb, or a file is missing or wrong.
    """

    def __init__(self, config: str, checkpoint: str, args: Namespace) -> None:
        cfg = load_config(config, args.cfg_options)
        self.model = load_model(cfg, checkpoint, get_device(), args.trust_checkpoint)
        segments = hasattr(self.model, 'decode_head')
        self.part = args.part or ('decode_head' if segments else 'backbone')
        self.layers = [layer for name, layer in attention_layers(self.model).items()
                       if name.startswith(f'{self.part}.')]
        self.kinds = [kind for kind in dict.fromkeys(args.kind)
                      if kind == 'noise' or with_subspaces(self.layers)]
        if not self.layers or not self.kinds:
            what = 'attention whose subspaces can be rotated' if self.layers else 'attention layer'
            raise UserError(f'{config} has no {what} in its {self.part}')
        self.images = read_test_images(cfg, args.num, cfg.test_dataloader.get('batch_size', 1))
        self.metric = 'mIoU' if segments else 'accuracy/top1'
        self.evaluator = Evaluator(cfg.test_evaluator)
        self.evaluator.dataset_meta = self.images.dataset.dataset.metainfo
        if self.part == 'decode_head':
            self.model.backbone = Remembered(self.model.backbone)

    def measure(self, name: str, args: Namespace) -> dict:
        """Scores in percent, unperturbed and for each kind, strength and seed."""
        batches = [self.model.data_preprocessor(batch, False)
                   for batch in track(self.images, f'{name}: images')]
        result = dict(part=self.part, metric=METRICS[self.metric],
                      num_images=len(self.images.dataset), unperturbed=self.score(batches))
        cases = list(itertools.product(self.kinds, args.stds, range(args.seeds)))
        scores = []
        for kind, std, seed in track(cases, name):
            with perturbed(self.layers, KINDS[kind], std, seed):
                scores.append(self.score(batches))
        scores = np.reshape(scores, (len(self.kinds), len(args.stds), args.seeds))
        result['kinds'] = {
            kind: dict(scores=values.tolist(), mean=values.mean(1).tolist(),
                       std=values.std(1, ddof=min(1, args.seeds - 1)).tolist())
            for kind, values in zip(self.kinds, scores)}
        return result

    def score(self, batches: list[dict]) -> float:
        """mIoU or accuracy, in percent, from the config's evaluator."""
        metrics = self.evaluator.offline_evaluate(self.predict(batches))
        if self.metric not in metrics:
            raise UserError(f"the config's test_evaluator reports {', '.join(metrics)}, but not "
                            f'{self.metric}')
        return float(metrics[self.metric])

    @torch.no_grad()
    def predict(self, batches: list[dict]) -> Iterator[BaseDataElement]:
        """Predictions, one by one, with the ground truth."""
        for batch in batches:
            samples = [sample.clone() for sample in batch['data_samples']]  # tensors are added
            yield from self.model(batch['inputs'], samples, mode='predict')


class Remembered(nn.Module):
    """Caches the features of inputs that are kept and not modified.

    Args:
        backbone: The backbone that computes them.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.features = backbone, {}

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps images, or crops of them, to the backbone's features."""
        place = x.data_ptr(), x.shape, x.stride()
        if place not in self.features:
            self.features[place] = x, self.backbone(x)  # keeping x alive makes the key unique
        return self.features[place][1]


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    MMLogger.get_current_instance().setLevel('ERROR')  # no table of classes for each score
    stems = [Path(config).stem for config, _ in args.models]
    names = [stem if stems.count(stem) == 1 else f'{stem}, {checkpoint}'
             for stem, (_, checkpoint) in zip(stems, args.models)]
    subjects = [Subject(*pair, args) for pair in args.models]
    results = {}
    for name in names:
        subject = subjects.pop(0)  # to free its images afterwards
        for kind in [kind for kind in args.kind if kind not in subject.kinds]:
            print(f'{name} has no subspaces to rotate: it is skipped in {kind}')
        results[name] = subject.measure(name, args)
    for kind in dict.fromkeys(args.kind):
        Console().print(tabulate(kind, args.stds, results))
    write_whole(args.out, lambda file: draw(args.stds, results).savefig(file, dpi=110))
    print(f'The picture is {args.out}')
    if args.json:
        text = json.dumps(dict(command=' '.join(sys.argv), stds=args.stds, results=results),
                          indent=1)
        write_whole(args.json, lambda file: file.write_text(text))


def tabulate(kind: str, stds: list[float], results: dict) -> Table:
    """Scores of one kind: one row per strength, one column per model."""
    results = {name: result for name, result in results.items() if kind in result['kinds']}
    title = f'{TITLES[kind]}, percent'
    table = Table(title=title, min_width=len(title))
    table.add_column('std', justify='right')
    for name, result in results.items():
        table.add_column(f'{name}\n{result["metric"]}', justify='right')
    table.add_row('0', *(f'{result["unperturbed"]:.1f}' for result in results.values()))
    for i, std in enumerate(stds):
        curves = [result['kinds'][kind] for result in results.values()]
        table.add_row(f'{std:g}', *(f'{c["mean"][i]:.1f} ± {c["std"][i]:.1f}' for c in curves))
    return table


def draw(stds: list[float], results: dict) -> Figure:
    """One panel per kind, one curve per model, with a band of one standard deviation."""
    matplotlib.use('agg')
    kinds = [kind for kind in KINDS if any(kind in r['kinds'] for r in results.values())]
    figure = Figure((1.2 + 3.4 * len(kinds), 3.2 + 0.2 * len(results)), layout='constrained')
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    styles = zip(itertools.cycle(COLOURS), itertools.cycle('os^Dv*P'))
    for (name, result), (colour, marker) in zip(results.items(), styles):
        for axes, kind in zip(panels, kinds):
            if kind not in result['kinds']:
                continue
            mean, std = (np.array(result['kinds'][kind][key]) for key in ('mean', 'std'))
            axes.axhline(result['unperturbed'], color=colour, linestyle='--', linewidth=1)
            axes.plot(stds, mean, color=colour, marker=marker, markersize=4, label=name)
            axes.fill_between(stds, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
    for axes, kind in zip(panels, kinds):
        axes.set_title(TITLES[kind], fontsize=9)
        axes.set_xscale('log')
        axes.set_xticks(stds, [f'{std:g}' for std in stds], fontsize=7, rotation=45)
        axes.minorticks_off()
        axes.set_xlabel('std of the noise' + ' in the exponent' * (kind != 'noise'), fontsize=8)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    panels[0].plot([], [], '--', color='gray', linewidth=1, label='unperturbed')
    metrics = dict.fromkeys(result['metric'] for result in results.values())
    panels[0].set_ylabel(f'{" or ".join(metrics)}, %', fontsize=8)
    handles = {line.get_label(): line for axes in panels for line in axes.lines
               if not line.get_label().startswith('_')}
    figure.legend(handles.values(), handles, loc='outside lower center', fontsize=8)
    return figure


if __name__ == '__main__':
    with report_user_errors():
        main(args)
