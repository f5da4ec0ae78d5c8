"""The inside of models for some images, as one HTML file that needs no server and no network.

The page computes what a click shows from the attention's coefficients, as the equations do; these
are rounded to 16 bits.
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

from cbsa_mm.layers.representatives import coefficients as softmax

from .recorder import LayerRecord

MAX_VALUES = 2**24  # of a token-by-token matrix in a layer
OCTAVES = 32  # below a row's maximum that values are told apart in
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
        palette: Their colours, for segmenters; some by default.

    Returns:
        A dict for :func:`write_page`.
    """
    if logits.ndim == 2:
        scores = logits[0].float().softmax(0)
        best = scores.argsort(descending=True)[:5].tolist()
        prediction = dict(scores=[[classes[k], round(scores[k].item(), 4)] for k in best])
    else:
        large = torch.nn.functional.interpolate(logits.float(), image.shape[:2], mode='bilinear')
        labels = large[0].argmax(0).cpu().numpy()
        colors = np.array(palette or [
            255 * np.array(matplotlib.colormaps['tab20'](k % 20)[:3]) for k in range(len(classes))])
        colors = colors.astype(np.uint8)
        prediction = dict(
            regions=_picture(Image.fromarray(colors[labels]), 'png'),
            legend=[[classes[k], f'#{bytes(colors[k]).hex()}'] for k in np.unique(labels)])
    height, width = image.shape[:2]
    return dict(name=name, picture=_picture(Image.fromarray(image)), height=height, width=width,
                layers=[_describe_layer(layer, classes) for layer in layers],
                num_layers=len(layers), **prediction)


def _describe_layer(record: LayerRecord, classes: list[str]) -> dict:
    """The layer's coefficients A and, where the rows are not those of A^T A but B A, its B."""
    inside, first, (height, width) = record.trace, record.num_extra_tokens, record.image_grid
    coefficients, weights = inside.coefficients, None
    heads, tokens = inside.tokens.shape[1:3]
    if coefficients is not None and inside.queries is not None:
        weights = softmax(inside.queries, inside.keys)
    elif (inside.queries is not None or inside.over_heads) and heads * tokens**2 <= MAX_VALUES:
        weights = inside.rows()
    if record.name.startswith('decode_head'):
        extra = [[f'class {name}', first + height * width + k] for k, name in enumerate(classes)]
    else:
        extra = [[CLASS_TOKEN, 0]] if first else []
    rates = record.coding_rates(by_head=True)
    return dict(
        name=record.name, grid=[height, width], first=first, extra=extra,
        heads=heads, tokens=tokens,
        A=None if coefficients is None else _round(coefficients[0]),
        B=None if weights is None else _round(weights[0]),
        rates={name: [round(rate, 2) for rate in rates[name][0].tolist()]
               for name in ('tokens', 'tokens_after') if name in rates})


def _round(values: Tensor) -> dict:
    """Codes non-negative values (h, r, c) by their logarithms, since small ones add up.

    The relative error is 2e-4; what is below 2e-10 of its row's maximum becomes 0.
    """
    values = values.float().cpu()
    top = values.amax(-1, keepdim=True).clamp_min(1e-30)
    codes = 65535 * (1 + (values / top).log2() / OCTAVES)
    codes = codes.clamp_min(0).round().numpy().astype('<u2')
    return dict(rows=values.shape[1], top=b64encode(top.numpy().tobytes()).decode(),
                octaves=OCTAVES, codes=b64encode(zlib.compress(codes.tobytes())).decode())


def _picture(image: Image.Image, kind: str | None = None) -> str:
    """An image as a data URL, small ones without loss."""
    kind = kind or ('png' if max(image.size) <= 160 else 'jpeg')
    buffer = BytesIO()
    image.save(buffer, kind, quality=90)
    return f'data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}'


def fit(models: list[dict], max_bytes: int) -> list[dict]:
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
