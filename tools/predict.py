"""Runs a trained model on images: label overlays (segmentation) or classes."""
import sys
from argparse import Namespace
from pathlib import Path

from cbsa_mm.arguments import (
    IMAGES,
    ArgumentParser,
    add_model_arguments,
    images_last,
    integer,
    output_folder,
    share,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_model_arguments(parser)
    parser.add_argument('input', type=Path, help='image or folder of images')
    parser.add_argument(
        '--out-dir', type=output_folder, default='predictions',
        help='folder for results: vis/ and pred/ (segmentation) or classes.csv (classification)')
    parser.add_argument('--opacity', type=share, default=0.5, help='opacity of the overlay, 0 to 1')
    parser.add_argument('--topk', type=integer(1), default=5,
                        help='number of classes per image')
    return parser.parse_args(images_last(sys.argv[1:]))


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import csv
import io
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.structures import BaseDataElement
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import load_config, report_user_errors
from cbsa_mm.errors import DataError, UserError
from cbsa_mm.inference import image_pipeline, load_model, use_safe_loading


def find_images(path: Path) -> list[Path]:
    """An image, or the images of a folder sorted by name."""
    if path.is_file():
        return [path]
    images = sorted(p for p in path.glob('*') if p.suffix.lower() in IMAGES and p.is_file())
    if not images:
        raise UserError(f'{path} is neither an image nor a folder with images '
                        f'({", ".join(IMAGES)})')
    return images


def predict(cfg: Config, model: nn.Module,
            images: list[Path]) -> Iterator[tuple[Path, BaseDataElement]]:
    """Yields each image with what the model predicts."""
    pipeline = image_pipeline(cfg)
    for image in track(images, 'Predicting'):
        with torch.no_grad():
            [sample] = model.test_step(pseudo_collate([pipeline(dict(img_path=str(image)))]))
        yield image, sample.cpu()


def segment(cfg: Config, model: nn.Module, images: list[Path], args: Namespace) -> None:
    """Writes overlays to vis/ and label maps to pred/, by the names of the images."""
    from mmcv import imread
    from mmseg.visualization import SegLocalVisualizer
    visualizer = SegLocalVisualizer(alpha=args.opacity)
    visualizer.dataset_meta = model.dataset_meta
    out_dir, stems = Path(args.out_dir), [image.stem for image in images]
    for image, sample in predict(cfg, model, images):
        name = image.stem if stems.count(image.stem) == 1 else image.name
        sample = sample.numpy()
        labels = Image.fromarray(sample.pred_sem_seg.data[0].astype(np.uint8))
        write_whole(out_dir / f'pred/{name}.png', labels.save)
        pixels = imread(str(image), channel_order='rgb')
        write_whole(out_dir / f'vis/{image.name}', lambda file: visualizer.add_datasample(
            '', pixels, sample, draw_gt=False, out_file=str(file)))  # noqa: B023 (called at once)
    print(f'Overlays are in {out_dir}/vis, label maps in {out_dir}/pred')


def classify(cfg: Config, model: nn.Module, images: list[Path], args: Namespace) -> None:
    """Prints the classes of each image, and writes them to classes.csv."""
    classes, rows = model.dataset_meta.get('classes'), []
    for image, sample in predict(cfg, model, images):
        scores = sample.pred_score
        for label in scores.argsort(descending=True)[:args.topk].tolist():
            name = classes[label] if classes else str(label)
            rows.append((image, name, f'{scores[label]:.4f}'))
    table, text = Table('image', 'class', 'score'), io.StringIO()
    for image, name, score in rows:
        table.add_row(image.name, name, score)
    Console().print(table)
    csv.writer(text).writerows([('image', 'class', 'score'), *rows])
    out = Path(args.out_dir, 'classes.csv')
    write_whole(out, lambda file: file.write_bytes(text.getvalue().encode()))
    print(f'The table is in {out}')


def check_images(cfg: Config, images: list[Path]) -> None:
    """Reads all images first, to report bad ones before any prediction."""
    pipeline, faults = image_pipeline(cfg), []
    for image in track(images, 'Reading'):
        try:
            pipeline(dict(img_path=str(image)))
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise UserError('; '.join(faults))


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options)
    images = find_images(args.input)
    check_images(cfg, images)
    model = load_model(cfg, args.checkpoint, get_device(), args.trust_checkpoint)
    task = segment if cfg.default_scope == 'mmseg' else classify
    task(cfg, model, images, args)


if __name__ == '__main__':
    with report_user_errors():
        main(args)
