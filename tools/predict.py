"""Predicts images with a trained model: label overlays (segmentation) or classes."""
from argparse import Namespace
from pathlib import Path

from cbsa_mm.arguments import (
    ArgumentParser,
    add_model_arguments,
    integer,
    output_folder,
    share,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_model_arguments(parser)
    parser.add_argument('input', type=Path, help='image, or folder of images')
    parser.add_argument(
        '--out-dir', type=output_folder, default='predictions',
        help='where results go: vis/ and pred/ (segmentation) or classes.csv (classification)')
    parser.add_argument('--opacity', type=share, default=0.5, help='of the label overlay, 0 to 1')
    parser.add_argument('--topk', type=integer(1), default=5,
                        help='how many classes to tell per image')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import csv

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cbsa_mm.checkpoints import load_strictly
from cbsa_mm.datasets import read_metainfo
from cbsa_mm.engine import (
    load_config,
    report_user_errors,
)
from cbsa_mm.errors import DataError, UserError
from cbsa_mm.inference import image_pipeline, load_checkpoint, load_model, use_safe_loading


def find_images(path: Path) -> list[str]:
    """An image, or the images of a folder in order of their names."""
    if path.is_file():
        return [str(path)]
    images = sorted(str(p) for p in path.glob('*') if p.suffix.lower() in SUFFIXES)
    if not images:
        raise UserError(f'{path} is neither an image nor a folder with images '
                        f'({", ".join(sorted(SUFFIXES))})')
    return images


def segment(cfg: Config, images: list[str], args: Namespace) -> None:
    """Writes overlays to vis/ and label maps to pred/."""
    from mmseg.apis import MMSegInferencer
    checkpoint = load_checkpoint(args.checkpoint, trust=args.trust_checkpoint)
    meta = read_metainfo(cfg, checkpoint)
    inferencer = MMSegInferencer(cfg, args.checkpoint, device=args.device)
    load_strictly(inferencer.model, checkpoint, args.checkpoint)
    inferencer.model.dataset_meta = {key: meta.get(key) for key in ('classes', 'palette')}
    inferencer(images, out_dir=str(args.out_dir), opacity=args.opacity)
    print(f'Overlays are in {args.out_dir}/vis, label maps in {args.out_dir}/pred')


def classify(cfg: Config, images: list[str], args: Namespace) -> None:
    """Prints the classes of each image, and writes them to classes.csv."""
    model = load_model(
        cfg, args.checkpoint, args.device or get_device(), args.trust_checkpoint)
    classes, pipeline, rows = model.dataset_meta.get('classes'), image_pipeline(cfg), []
    for image in track(images, 'Predicting'):
        with torch.no_grad():
            [sample] = model.test_step(pseudo_collate([pipeline(dict(img_path=image))]))
        scores = sample.pred_score.cpu()
        for label in scores.argsort(descending=True)[:args.topk].tolist():
            name = classes[label] if classes else str(label)
            rows.append((image, name, f'{scores[label]:.4f}'))
    table = Table('image', 'class', 'score')
    for image, name, score in rows:
        table.add_row(Path(image).name, name, score)
    Console().print(table)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    with open(args.out_dir / 'classes.csv', 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([('image', 'class', 'score'), *rows])
    print(f'The table is in {args.out_dir}/classes.csv')


def check_images(cfg: Config, images: list[str]) -> None:
    """Reads all images, so that none is found to be faulty when others are predicted already."""
    pipeline, faults = image_pipeline(cfg), []
    for image in track(images, 'Reading'):
        try:
            pipeline(dict(img_path=image))
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise UserError('; '.join(faults))


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options)
    images = find_images(args.input)
    check_images(cfg, images)
    task = segment if cfg.default_scope == 'mmseg' else classify
    task(cfg, images, args)


if __name__ == '__main__':
    with report_user_errors():
        main(args)
