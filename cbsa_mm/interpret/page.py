"""The inside of models for some images, as one HTML file that needs no server and no network.

The page computes what a click shows from the attention's coefficients, as the equations do; these
are quantised to 8 bits.
"""
import json
import zlib
from base64 import b64encode
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .recorder import LayerRecord

MAX_BYTES = 3 * 2**20  # of an image's data in a saved page
CLASS_TOKEN = 'the class token'


def describe_model(name: str, image: np.ndarray, layers: list[LayerRecord], logits: Tensor,
                   classes: list[str], palette: list[list[int]] | None = None) -> dict:
    """What a page shows of a model for one image.

    Args:
        name: The model's name.
        image: What the model sees, RGB (H, W, 3) of uint8.
        layers: Its layers after the forward pass.
        logits: Its output (1, K), or (1, K, H', W') of a segmenter.
        classes: Names of the K classes.
        palette: Their colours, for segmenters.

    Returns:
        A dict for :func:`write_page`.
    """
    if logits.ndim == 2:
        scores = logits[0].float().softmax(0)
        best = scores.argsort(descending=True)[:5].tolist()
        prediction = dict(scores=[[classes[k], round(scores[k].item(), 4)] for k in best])
    else:
        large = torch.nn.functional.interpolate(logits.float(), image.shape[:2], mode='bilinear')
        labels = large[0].argmax(0).byte().cpu().numpy()
        regions = Image.fromarray(labels, mode='P')
        regions.putpalette([value for color in palette for value in color])
        present = np.unique(labels).tolist()
        prediction = dict(regions=_picture(regions), legend=[
            [classes[k], f'#{bytes(palette[k]).hex()}'] for k in present])
    height, width = image.shape[:2]
    return dict(name=name, picture=_picture(Image.fromarray(image)), height=height, width=width,
                layers=[_describe_layer(layer, classes) for layer in layers], **prediction)


def _describe_layer(record: LayerRecord, classes: list[str]) -> dict:
    """The layer's coefficients A and, where the rows are not those of A^T A but B A, its B."""
    inside, first, (height, width) = record.trace, record.num_extra_tokens, record.image_grid
    coefficients, weights = inside.coefficients, None
    if inside.queries is not None or inside.over_heads:
        from cbsa_mm.layers.representatives import coefficients as softmax
        weights = (inside.rows() if coefficients is None
                   else softmax(inside.queries, inside.keys))
    if record.name.startswith('decode_head'):
        extra = [[f'class {name}', first + height * width + k] for k, name in enumerate(classes)]
    else:
        extra = [[CLASS_TOKEN, 0]] if first else []
    rates = record.coding_rates(by_head=True)
    return dict(
        name=record.name, grid=[height, width], first=first, extra=extra,
        heads=inside.tokens.shape[1], tokens=inside.tokens.shape[2],
        A=None if coefficients is None else _quantize(coefficients[0]),
        B=None if weights is None else _quantize(weights[0]),
        rates={name: [round(rate, 2) for rate in rates[name][0].tolist()]
               for name in ('tokens', 'tokens_after') if name in rates})


def _quantize(values: Tensor) -> dict:
    """Codes non-negative values (h, r, c) by the square of 8 bits, times a scale for each row."""
    values = values.float().cpu()
    scale = values.amax(-1, keepdim=True).clamp_min(1e-30) / 255**2
    codes = (values / scale).sqrt().round().byte().numpy()  # small values matter, too
    return dict(rows=values.shape[1], scale=b64encode(scale.numpy().tobytes()).decode(),
                codes=b64encode(zlib.compress(codes.tobytes())).decode())


def _picture(image: Image.Image) -> str:
    """An image as a data URL: without loss, if it is small or has a palette."""
    kind = 'png' if image.mode == 'P' or max(image.size) <= 160 else 'jpeg'
    buffer = BytesIO()
    image.save(buffer, kind, quality=90)
    return f'data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}'


def fit(models: list[dict], max_bytes: int = MAX_BYTES) -> list[dict]:
    """Leaves out every other layer, but not the last, until the data of an image is small enough.

    Args:
        models: What :func:`describe_model` gives for the image.
        max_bytes: Size as JSON, in bytes.
    """
    while len(json.dumps(models)) > max_bytes and any(len(m['layers']) > 1 for m in models):
        models = [model | dict(layers=model['layers'][::-1][::2][::-1]) for model in models]
    return models


def render_page(title: str, images: list[dict], max_upload: int | None = None) -> str:
    """Writes a page.

    Args:
        title: Its title.
        images: ``dict(name=..., models=[...])`` for each, with what :func:`describe_model` gives
            for each model.
        max_upload: Size, in bytes, of further images that a server behind the page opens.

    Returns:
        The HTML.
    """
    folder = Path(__file__).parent
    colors = matplotlib.colormaps['viridis'](np.arange(256), bytes=True)[:, :3]
    data = dict(title=title, images=images, max_upload=max_upload,
                colors=b64encode(colors.tobytes()).decode())
    template, script = ((folder / f'page.{kind}').read_text() for kind in ('html', 'js'))
    text = json.dumps(data).replace('<', r'\u003c')  # no tag of a name ends the script
    return template.replace('/*SCRIPT*/', script).replace('/*DATA*/', text)
