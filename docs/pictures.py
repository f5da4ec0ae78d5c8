"""Makes what the pages show of the models in the package, when they are built."""
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from cbsa_mm.arguments import DEMOS
from cbsa_mm.datasets.shapes import render
from cbsa_mm.engine import load_config
from cbsa_mm.inference import load_model, predict, preprocess
from cbsa_mm.interpret import LayerRecord, Recorder, attention_maps, patch_index
from cbsa_mm.interpret.views import mark, overlay

PLACE = 0.88, 0.62  # on one of the shapes


def make_pictures(folder: Path) -> None:
    """Writes explorer.html and layers.webp."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, '-m', 'cbsa_mm', 'explore', 'demo', '--save',
                    folder / 'explorer.html'], check=True, stdout=subprocess.DEVNULL)
    config, checkpoint = DEMOS['demo']
    model = load_model(load_config(config), checkpoint)
    image = render(2, 3, 128, 4)[0]
    with Recorder(model) as recorder:
        predict(model, preprocess(model, image))
    image = image.repeat(3, 0).repeat(3, 1)
    rates = [layer.coding_rates(normalize=True)['tokens'].item() for layer in recorder.layers]
    frames = [_draw(image, recorder.layers, rates, k) for k in range(len(rates))]
    frames[0].save(folder / 'layers.webp', save_all=True, append_images=frames[1:],
                   duration=[1000] * (len(frames) - 1) + [2500], loop=0)


def _draw(image: np.ndarray, layers: list[LayerRecord], rates: list[float], k: int) -> Image.Image:
    """A layer: what a token attends to in each head, and how far all tokens are compressed."""
    matplotlib.use('agg')
    gray = '#808080'  # seen on dark and on light pages
    figure = Figure((9.5, 2.3), layout='constrained', facecolor='none')
    seen, *heads, curve = figure.subplots(1, 5, width_ratios=[1, 1, 1, 1, 1.3])
    seen.imshow(mark(image, *(int(part * len(image)) for part in PLACE)))
    seen.set_title('a position', color=gray, fontsize=9)
    maps = attention_maps(layers[k], [patch_index(layers[k], *PLACE)])[0, :, 0]
    for i, axes in enumerate(heads):
        axes.imshow(overlay(image, maps[i]))
        axes.set_title(f'layer {k}, head {i}', color=gray, fontsize=9)
    for axes in (seen, *heads):
        axes.set_axis_off()
    curve.plot(range(k + 1), rates[:k + 1], 'o-', color='#d55e00')
    curve.set(xlim=(-0.3, len(rates) - 0.7), ylim=(0.9 * min(rates), 1.05 * max(rates)),
              facecolor='none')
    curve.set_title('coding rate of all tokens', color=gray, fontsize=9)
    curve.set_xlabel('layer', color=gray, fontsize=9)
    curve.tick_params(colors=gray, labelsize=8)
    for spine in curve.spines.values():
        spine.set_color(gray)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=100)
    return Image.open(buffer)
