"""Plots of the measurements."""
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cbsa_mm.checkpoints import write_whole

LABELS = {'CBSA': 'CBSA (ours)', 'MSSA': 'MSSA (CRATE)', 'TSSA': 'TSSA (ToST)',
          'softmax': 'softmax (ViT-S)', 'ours': 'ours', 'deploy': 'ours, deploy form'}


def plot(results: dict, folder: Path) -> list[Path]:
    """Plots speedups over the plain form, and scaling with resolution.

    Args:
        results: Results of ``tools/analysis_tools/benchmark.py``, by part.
        folder: Output folder.

    Returns:
        The files.
    """
    matplotlib.use('agg')
    machine = results['machine']
    caption = f'{machine["device"]}, {machine["threads"]} threads, torch {machine["torch"]}'
    files = []
    for part, draw in (('classifiers', _draw_classifiers), ('scaling', _draw_scaling)):
        if results.get(part):
            figure = draw(results[part])
            figure.suptitle(caption, fontsize=8, color='gray')
            files.append(folder / f'{part}.png')
            write_whole(files[-1], lambda file, figure=figure: figure.savefig(file, dpi=120))
    return files


def plot_curves(results: dict, file: Path) -> None:
    """Plots each config's validations, the mean over its seeds and a band of their range.

    Args:
        results: Results of ``tools/analysis_tools/compare.py``.
        file: The picture.
    """
    matplotlib.use('agg')
    figure = Figure((7, 4), layout='constrained')
    axes = figure.subplots()
    for name, result in results.items():
        curves = np.array([run['curve'] for run in result['runs'].values()])
        places = range(1, curves.shape[1] + 1)
        [line] = axes.plot(places, curves.mean(0), '.-', label=name)
        axes.fill_between(places, curves.min(0), curves.max(0), color=line.get_color(), alpha=0.2,
                          linewidth=0)
    axes.set(xlabel='validation', ylabel='accuracy or mIoU, %')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc='outside right')
    write_whole(file, lambda path: figure.savefig(path, dpi=120))


def _draw_classifiers(results: dict) -> Figure:
    figure = Figure((8, 3.2), layout='constrained')
    for axes, kind in zip(figure.subplots(1, 2, sharey=True), ('inference', 'training')):
        groups = {name.split()[1]: cases for name, cases in results.items()
                  if name.startswith(kind) and name.endswith('float32')}
        forms = [form for form in ('ours', 'deploy') if form in next(iter(groups.values()))]
        for k, form in enumerate(forms):
            bars = axes.bar([i + 0.38 * k for i in range(len(groups))],
                            [cases[form]['ratio'] for cases in groups.values()], 0.36,
                            label=LABELS[form])
            axes.bar_label(bars, fmt='%.2f', fontsize=8)
        axes.axhline(1, color='black', linewidth=0.8)
        axes.set_xticks([i + 0.19 * (len(forms) - 1) for i in range(len(groups))], groups)
        axes.set_title(f'CBT, 224 pixels, float32: {kind}', fontsize=9)
        axes.legend(fontsize=8, loc='upper left')
        axes.margins(y=0.2)
    figure.axes[0].set_ylabel('speedup over the plain form')
    return figure


def _draw_scaling(results: dict) -> Figure:
    figure = Figure((8, 3.4), layout='constrained')
    time, memory = figure.subplots(1, 2)
    sides = [int(side) for side in results]
    for name in next(iter(results.values())):
        cases = [result[name] for result in results.values()]
        [line] = time.loglog(sides, [c['median'] for c in cases], 'o-', label=LABELS[name])
        time.fill_between(sides, [c['low'] for c in cases], [c['high'] for c in cases], alpha=0.2,
                          color=line.get_color())
        memory.loglog(sides, [c['memory'] / 2**20 for c in cases], 'o-', label=LABELS[name])
    for axes, label in ((time, 'seconds'), (memory, 'peak memory, MiB')):
        axes.set_ylabel(label)
        axes.set_xlabel('side of the image, pixels')
        axes.set_xticks(sides, [str(side) for side in sides], fontsize=8)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    time.set_title('Width 384, 12 layers, one image, float32', fontsize=9)
    time.legend(fontsize=8)
    return figure
