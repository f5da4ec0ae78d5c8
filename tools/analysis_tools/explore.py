"""Shows the inside of models for images on a web page: what the token at a position attends to.

For a layer and a head, the page shows the token's row of A^T A, its coefficients over the
representatives, the representatives as soft regions, the prediction, and how far the tokens are
compressed. Several models are shown side by side. The page is served on this machine, or saved as
one file that can be opened anywhere. Works with segmenters and classifiers; the image goes
through the config's test pipeline, and then through the model as a whole.
"""
from argparse import Namespace

from cbsa_mm.arguments import (
    DEMOS,
    ArgumentParser,
    add_models_arguments,
    integer,
    output_file,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_models_arguments(parser, images=True)
    parser.add_argument('--save', type=output_file('.html'), metavar='PAGE',
                        help='save the page here instead of serving it; at most 3 MB an image, for '
                        'which layers may be left out')
    parser.add_argument('--host', default='127.0.0.1',
                        help='address to serve on; %(default)s (local only) by default')
    parser.add_argument('--port', type=integer(1, 65535), default=7860,
                        help='%(default)s by default')
    args = parser.parse_args()
    if args.save and not args.images and not set(args.models) & set(DEMOS.values()):
        parser.error('--save needs image files to show')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import ipaddress
import json
import signal
import socket
import sys
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from threading import Lock
from urllib.parse import unquote, urlsplit

import torch
from mmengine.config import Config
from mmengine.device import get_device
from PIL import Image
from torch import nn

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.datasets.shapes import render
from cbsa_mm.engine import load_config, report_user_errors
from cbsa_mm.errors import UserError
from cbsa_mm.inference import load_model, predict, read_image, use_safe_loading
from cbsa_mm.interpret import Recorder
from cbsa_mm.interpret.page import describe_model, fit, render_page

MAX_BYTES, MAX_PIXELS = 2**25, 2**24  # of an image file
MAX_SAVED, MAX_LIVE = 3 * 2**20, 2**26  # bytes of what the page shows of an image
MAX_SEEN = 2**21  # pixels of the model's input, which cost about 1 GB


def check_size(path: str | Path, name: str) -> None:
    try:
        Image.open(path).close()  # reads no more than the size, and refuses a large one
    except Image.DecompressionBombError as error:
        raise UserError(f'image {name} has more than {MAX_PIXELS:,} pixels: scale it '
                        'down') from error
    except OSError as error:
        raise UserError(f'{name} is no image file') from error


def open_image(models: list[tuple[Config, nn.Module]], path: str | Path, name: str,
               max_bytes: int) -> dict:
    """What the page shows of an image, in at most as many bytes."""
    check_size(path, name)
    described = []
    for cfg, model in models:
        inputs, image = read_image(cfg, model, path)
        height, width = inputs.shape[2:]
        if height * width > MAX_SEEN:
            raise UserError(f'the model would see {height} x {width} pixels, more than '
                            f'{MAX_SEEN:,}: scale the image down')
        with Recorder(model) as recorder:
            logits = predict(model, inputs).cpu()
        if logits.ndim == 4 and logits.shape[1] == 1:  # foreground or not, as mmseg decides
            threshold = torch.tensor(model.decode_head.threshold).logit()
            logits = torch.cat([threshold.expand_as(logits), logits], dim=1)
        meta = model.dataset_meta
        described.append(describe_model(
            Path(cfg.filename).stem, image, recorder.layers, logits, list(meta['classes']),
            meta.get('palette')))
    return dict(name=name, models=fit(described, max_bytes))


class Server(ThreadingHTTPServer):
    """Serves the page, and opens images that are sent from it."""
    daemon_threads = True

    def __init__(self, address: tuple[str, int], page: str, models: list, folder: str) -> None:
        super().__init__(address, Handler)
        self.page, self.models, self.folder, self.lock = page.encode(), models, folder, Lock()
        self.names = {address[0], 'localhost', '127.0.0.1', '::1', socket.gethostname().lower()}
        self.any_address = address[0] in ('0.0.0.0', '::')

    def is_own(self, host: str) -> bool:
        """Whether a request's Host leads here.

        Another site could make the browser send a request to a name of its own that leads to this
        machine.
        """
        try:
            name = urlsplit(f'//{host}').hostname or ''
            return name in self.names or self.any_address and bool(ipaddress.ip_address(name))
        except ValueError:  # neither a name nor an address
            return False


class Handler(BaseHTTPRequestHandler):
    """Answers only requests that the page itself sends, of a size that it sends."""
    timeout = 60  # seconds without a byte

    def do_GET(self) -> None:
        """Sends the page."""
        if self.is_from_page():
            found = self.path == '/'
            self.answer(200 if found else 404, self.server.page if found else b'not found',
                         'text/html' if found else 'text/plain')

    def do_POST(self) -> None:
        """Opens an image."""
        size = self.headers.get('Content-Length', '')
        if not self.is_from_page():
            return
        if not size.isdecimal() or int(size) > MAX_BYTES:
            return self.answer(413, f'the file has more than {MAX_BYTES:,} bytes'.encode())
        name = Path(unquote(self.headers.get('X-Name', 'image'))).name
        content = self.rfile.read(int(size))
        try:
            with NamedTemporaryFile(dir=self.server.folder) as file, self.server.lock:
                file.write(content)
                file.flush()
                image = open_image(self.server.models, file.name, name, MAX_LIVE)
            self.answer(200, json.dumps(image).encode(), 'application/json')
        except UserError as error:
            self.answer(400, str(error).replace(file.name, name).encode())

    def is_from_page(self) -> bool:
        """Whether the request comes from the page, and not from that of another site."""
        host = self.headers.get('Host', '')
        origin = self.headers.get('Origin', f'http://{host}')
        own = self.server.is_own(host) and origin.split('://')[-1] == host
        if not own:
            self.answer(403, b'not from the page itself')
        return own

    def answer(self, status: int, content: bytes, kind: str = 'text/plain') -> None:
        """Sends a reply."""
        self.send_response(status)
        self.send_header('Content-Type', f'{kind}; charset=utf-8')
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Logs nothing."""


def main(args: Namespace) -> None:
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # PIL warns from here, and refuses twice as many
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    use_safe_loading(args.trust_checkpoint)
    for image in args.images:
        check_size(image, image)
    models = []
    for config, checkpoint in args.models:
        cfg = load_config(config, args.cfg_options)
        models.append((cfg, load_model(cfg, checkpoint, get_device(), args.trust_checkpoint)))
    title = 'Inside ' + ' and '.join(Path(cfg.filename).stem for cfg, _ in models)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that this deletes its content:
    with TemporaryDirectory(prefix='explore-') as folder:
        if not args.images and set(args.models) & set(DEMOS.values()):
            args.images = [Path(folder, f'shapes-{i}.png') for i in range(4)]
            for i, path in enumerate(args.images):
                Image.fromarray(render(2, i, 128, 4)[0]).save(path)
        max_bytes = MAX_SAVED if args.save else MAX_LIVE
        images = [open_image(models, path, path.name, max_bytes) for path in args.images]
        if args.save:
            write_whole(args.save, lambda file: file.write_text(render_page(title, images)))
            print(f'The page is {args.save}')
        else:
            serve(args, render_page(title, images, MAX_BYTES), models, folder)


def serve(args: Namespace, page: str, models: list, folder: str) -> None:
    try:
        server = Server((args.host, args.port), page, models, folder)
    except OSError as error:
        raise UserError(f"can't serve on {args.host}, port {args.port}, which may be taken: give "
                        'another --port') from error
    host = f'[{args.host}]' if ':' in args.host else args.host
    print(f'The page is http://{host}:{args.port}; Ctrl+C ends it', flush=True)
    server.serve_forever()


if __name__ == '__main__':
    with report_user_errors():
        main(args)
