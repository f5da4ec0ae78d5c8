"""Serves a web page for exploring an image: click a position to see what its token attends to.

For a layer and a head, the page shows the token's row of A^T A, its coefficients over the
representatives, the representatives as soft regions, and the prediction.
Works with segmenters and classifiers; the image goes through the config's test pipeline, and then
through the model as a whole.
"""
from argparse import Namespace

from cbsa_mm.arguments import ArgumentParser, add_model_arguments, existing_file, integer


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_model_arguments(parser)
    parser.add_argument('images', nargs='*', type=existing_file,
                        help='image files to choose from; others can be dropped on the page')
    parser.add_argument('--host', default='127.0.0.1',
                        help='address to serve on; %(default)s (local only) by default')
    parser.add_argument('--port', type=integer(1, 65535), default=7860,
                        help='%(default)s by default')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import ipaddress
import os
import signal
import socket
import sys
import warnings
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import numpy as np
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.device import get_device
from PIL import Image
from torch import Tensor, nn

from cbsa_mm.engine import load_config, report_user_errors
from cbsa_mm.errors import UserError
from cbsa_mm.inference import load_model, predict, read_image, use_safe_loading
from cbsa_mm.interpret import LayerRecord, Recorder, attention_maps, enlarge, patch_index
from cbsa_mm.interpret.views import mark, mosaic, overlay, paint

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'  # gradio reads it when it is imported
try:
    import gradio as gr
    from starlette.datastructures import Headers
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
except ImportError:
    gr = None

PLACE, CLASS_TOKEN = 'the clicked position', 'the class token'
OPACITY = 0.5  # of a prediction over its image
PICTURE = 512  # approximate side of a small image on the page, in pixels
MAX_BYTES, MAX_PIXELS = 2**25, 2**24  # of an image file
MAX_SEEN = 2**21  # pixels of the model's input, which cost about 1 GB


class OnlyThisPage:
    """Answers only requests that the page itself sends, of a size that it sends.

    Another site could make the browser send some: from its own page, as the Origin tells, or to a
    name of its own that leads to this machine, as the Host tells.
    """

    def __init__(self, app, address: str) -> None:
        self.app = app
        self.names = {address, 'localhost', '127.0.0.1', '::1', socket.gethostname().lower()}
        self.any_address = address in ('0.0.0.0', '::')

    async def __call__(self, scope, receive, send) -> None:
        if scope['type'] == 'http':
            headers, answer = Headers(scope=scope), self.app
            host = headers.get('host', '')
            origin = headers.get('origin', f'http://{host}')
            if not self._is_own(host) or origin.split('://')[-1] != host:
                answer = PlainTextResponse('not from the page itself', 403)
            elif int(headers.get('content-length', 0)) > 2 * MAX_BYTES:
                answer = PlainTextResponse('too large', 413)
            return await answer(scope, receive, send)
        await self.app(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f'//{host}').hostname or ''
            return name in self.names or self.any_address and bool(ipaddress.ip_address(name))
        except ValueError:  # neither a name nor an address
            return False


@dataclass
class Opened:
    """An image after the forward pass, enlarged for the page if it is small."""
    image: np.ndarray
    layers: list[LayerRecord]
    logits: Tensor


def check_size(path: str | Path) -> None:
    try:
        Image.open(path).close()  # reads no more than the size, and refuses a large one
    except Image.DecompressionBombError as error:
        raise UserError(f'image {Path(path).name} has more than {MAX_PIXELS:,} pixels: scale it '
                        'down') from error
    except OSError as error:
        raise UserError(f'{path} is no image file') from error


def open_image(cfg: Config, model: nn.Module, path: str) -> Opened:
    check_size(path)
    inputs, image = read_image(cfg, model, path)
    height, width = inputs.shape[2:]
    if height * width > MAX_SEEN:
        raise UserError(f'the model would see {height} x {width} pixels, more than {MAX_SEEN:,}: '
                        'scale the image down')
    with Recorder(model) as recorder:
        logits = predict(model, inputs).cpu()
    scale = max(PICTURE // max(image.shape), 1)
    image = image.repeat(scale, 0).repeat(scale, 1)
    return Opened(image, recorder.layers, logits)


def show_prediction(opened: Opened, classes: list[str]):
    """A segmenter's classes as regions of the image, or a classifier's with probabilities."""
    if opened.logits.ndim == 2:
        return dict(zip(classes, opened.logits[0].softmax(0).tolist()))
    logits = F.interpolate(opened.logits, size=opened.image.shape[:2], mode='bilinear')
    labels = logits[0].argmax(0).numpy()
    return opened.image, [((labels == k) * OPACITY, name)
                          for k, name in enumerate(classes) if k in labels]


def attenders(layer: LayerRecord, classes: list[str]) -> dict[str, int | None]:
    """The selectable tokens by name; None for the clicked one."""
    if layer.name.startswith('decode_head'):
        first = layer.image_grid[0] * layer.image_grid[1]
        return {PLACE: None} | {f'class {name}': first + k for k, name in enumerate(classes)}
    return {PLACE: None} | ({CLASS_TOKEN: 0} if layer.num_extra_tokens else {})


def show(opened: Opened, layer: LayerRecord, head: int, token: int,
         chosen: int | None) -> tuple[np.ndarray | None, ...]:
    """Pictures of a token's rows in all heads and in one, its coefficients, all representatives,
    and the chosen one.

    Pictures that the attention does not have are None; by default the representative with the
    token's largest coefficient is chosen.
    """
    try:
        rows = attention_maps(layer, [token])[0, :, 0]
        heads = mosaic(enlarge(rows, rows.shape[1:]), len(rows))
        heads = paint(heads, max(PICTURE // (2 * len(heads)), 1))
        row = overlay(opened.image, rows[head])
    except ValueError:  # in attentions without a token-by-token matrix
        heads = row = None
    if layer.trace.coefficients is None:
        return heads, row, None, None, None
    A = layer.trace.coefficients[0, head]                                    # (m, N)
    side, (height, width) = isqrt(len(A)), layer.image_grid
    first = layer.num_extra_tokens
    regions = A[:, first:first + height * width].unflatten(1, (height, width))
    chosen = A[:, token].argmax().item() if chosen is None else chosen
    return (heads, row, paint(A[:, token].view(side, side), PICTURE // side),
            paint(mosaic(regions, side), max(PICTURE // (side * (width + 1)), 1)),
            overlay(opened.image, regions[chosen]))


def titled(title: str, kind: type, name: str, **options):
    """A component with the title above it, since a label would hide part of it."""
    with gr.Column():
        gr.Markdown(f'**{title}**')
        if kind is gr.Image:
            options |= dict(interactive=False, buttons=[])
        return kind(show_label=False, label=title, elem_id=name, **options)


def build_page(cfg: Config, model: nn.Module, images: list[Path]):
    classes, last = list(model.dataset_meta['classes']), len(Recorder(model).layers) - 1
    with gr.Blocks(title=f'Inside {Path(cfg.filename).stem}', fill_width=True) as page:
        gr.Markdown(f'# Inside {Path(cfg.filename).stem}\n'
                    'Choose or drop an image, then click a position in it. Each map is scaled to '
                    'its own maximum; bright is high.')
        opened, place, chosen = gr.State(), gr.State((0.5, 0.5)), gr.State()
        with gr.Row():
            with gr.Column():
                source = gr.Image(label='image file', type='filepath', sources=['upload'],
                                  image_mode=None, height=160, elem_id='source')
                gallery = gr.Gallery([np.asarray(Image.open(path).convert('RGB'))
                                      for path in images], label='images', columns=4, height=130,
                                     allow_preview=False, interactive=False, object_fit='contain',
                                     visible=len(images) > 1, elem_id='gallery')
                layer = gr.Slider(0, last, last, step=1, label='layer', elem_id='layer')
                head = gr.Slider(0, 1, 0, step=1, label='head', elem_id='head')
                token = gr.Dropdown([PLACE], value=PLACE, label='whose attention',
                                    elem_id='token')
            seen = titled('What the model sees: click a position', gr.Image, 'seen')
            if not hasattr(model, 'decode_head'):
                predicted = titled('Prediction', gr.Label, 'predicted', num_top_classes=5)
            else:
                palette = model.dataset_meta.get('palette') or []
                predicted = titled('Prediction', gr.AnnotatedImage, 'predicted', color_map={
                    name: f'#{bytes(color).hex()}' for name, color in zip(classes, palette)})
        overview = titled('Attention in all heads: click one', gr.Image, 'heads', height=200)
        with gr.Row():
            pictures = [titled(title, gr.Image, name) for name, title in (
                ('row', "Attention: the token's row of AᵀA"),
                ('coefficients', "The token's coefficients: click one"),
                ('regions', 'Representatives, as soft regions: click one'),
                ('region', 'The chosen representative'))]

        def update(opened, place, chosen, i, head, token):
            """Updates everything that depends on layer, head, token and representative."""
            if opened is None:
                return [gr.skip()] * len(outputs)
            record = opened.layers[i]
            heads, names = record.trace.tokens.shape[1], attenders(record, classes)
            head, token = min(head, heads - 1), token if token in names else PLACE
            shown, index = opened.image, names[token]
            if index is None:
                index = patch_index(record, *place)
                shown = mark(shown, *(int(part * size) for part, size in zip(place, shown.shape)))
            return [gr.Slider(label=f'layer: {record.name}'),
                    gr.Slider(maximum=max(heads - 1, 1), value=head, interactive=heads > 1),
                    gr.Dropdown(list(names), value=token), shown,
                    *show(opened, record, head, index, chosen)]

        def read(path):
            if path is None:
                return [gr.skip()] * 4
            try:
                image = open_image(cfg, model, path)
            except UserError as error:
                raise gr.Error(str(error)) from error
            return image, (0.5, 0.5), None, show_prediction(image, classes)

        def pick_place(opened, event: gr.SelectData):
            (x, y), (height, width) = event.index, opened.image.shape[:2]
            return (min(y / height, 1), min(x / width, 1)), None, PLACE

        def pick_representative(opened, i, picture, event: gr.SelectData):
            side = isqrt(opened.layers[i].trace.coefficients.shape[2])
            column, row = (part * side // size for part, size in zip(event.index,
                                                                     picture.shape[1::-1]))
            return row * side + column

        def pick_head(opened, i, picture, event: gr.SelectData):
            return event.index[0] * opened.layers[i].trace.tokens.shape[1] // picture.shape[1], None

        def pick_image(event: gr.SelectData):
            return str(images[event.index].resolve())

        inputs = [opened, place, chosen, layer, head, token]
        outputs = [layer, head, token, seen, overview, *pictures]
        gallery.select(pick_image, None, source)
        overview.select(pick_head, [opened, layer, overview], [head, chosen]).then(
            update, inputs, outputs)
        source.change(read, source, [opened, place, chosen, predicted]).then(
            update, inputs, outputs)
        seen.select(pick_place, opened, [place, chosen, token]).then(update, inputs, outputs)
        for picture in pictures[1:3]:
            picture.select(pick_representative, [opened, layer, picture], chosen).then(
                update, inputs, outputs)
        for control in (layer, head, token):
            control.input(lambda: None, None, chosen).then(update, inputs, outputs)
        if images:
            page.load(lambda: str(images[0].resolve()), None, source)
    return page


def main(args: Namespace) -> None:
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # PIL warns from here, and refuses twice as many
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    use_safe_loading(args.trust_checkpoint)
    if gr is None:
        raise UserError("the page needs gradio: pip install 'gradio>=6,<7'")
    for image in args.images:
        check_size(image)
    cfg = load_config(args.config, args.cfg_options)
    model = load_model(cfg, args.checkpoint, get_device(), args.trust_checkpoint)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that this deletes the uploads:
    with TemporaryDirectory(prefix='explore-') as uploads:
        os.environ['GRADIO_TEMP_DIR'] = uploads
        serve(build_page(cfg, model, args.images), args)


def serve(page, args: Namespace) -> None:
    try:
        page.launch(
            server_name=args.host, server_port=args.port, share=False, ssr_mode=False, quiet=True,
            prevent_thread_lock=True, footer_links=[], show_error=True,
            max_file_size=MAX_BYTES,
            app_kwargs=dict(middleware=[Middleware(OnlyThisPage, args.host)]),
            theme=gr.themes.Base(font='sans-serif', font_mono='monospace'),  # no web fonts
            allowed_paths=[str(image.resolve()) for image in args.images])
    except OSError as error:
        raise UserError(f"can't serve on {args.host}, port {args.port}, which may be taken: give "
                        'another --port') from error
    print(f'The page is {page.local_url}; Ctrl+C ends it')
    page.block_thread()


if __name__ == '__main__':
    with report_user_errors():
        main(args)
