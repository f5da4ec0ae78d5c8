"""Draws test images with ground truth and prediction."""
from argparse import Namespace

from cbsa_mm.arguments import (
    PICTURES,
    ArgumentParser,
    add_model_arguments,
    add_runner_arguments,
    integer,
    output_file,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    add_model_arguments(parser)
    parser.add_argument('--out', type=output_file(*PICTURES), default='results.png',
                        help='picture to write; %(default)s by default')
    parser.add_argument('--num', type=integer(1), default=6,
                        help='number of images, evenly spaced')
    add_runner_arguments(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np
import torch
from mmcv import imfrombytes
from mmengine.dataset import pseudo_collate
from mmengine.fileio import get
from rich.progress import track

from cbsa_mm.checkpoints import write_whole
from cbsa_mm.engine import (
    build_runner,
    load_config,
    report_user_errors,
)
from cbsa_mm.inference import use_safe_loading


def main(args: Namespace) -> None:
    use_safe_loading(args.trust_checkpoint)
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    cfg.load_from = args.checkpoint
    runner = build_runner(cfg, ('test_dataloader', ))
    runner.load_or_resume()
    model = runner.model.eval()
    dataset = runner.test_dataloader.dataset
    meta = dataset.metainfo
    segmentation = cfg.default_scope == 'mmseg'
    indices = np.linspace(0, len(dataset) - 1, min(args.num, len(dataset))).astype(int)
    rows, columns = (len(indices), 3) if segmentation else (-(-len(indices) // 3), 3)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 3.2 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis('off')
    for i, index in enumerate(track(indices, 'Predicting')):
        data = dataset[int(index)]
        with torch.no_grad():
            [sample] = model.test_step(pseudo_collate([data]))
        if 'img_path' in sample:
            image = imfrombytes(get(sample.img_path), channel_order='rgb')
        else:  # a data set of arrays
            image = data['inputs'].flip(0).permute(1, 2, 0)
        if segmentation:
            panels = dict(
                image=image,
                truth=colour(sample.gt_sem_seg.data[0], meta['palette']),
                prediction=colour(sample.pred_sem_seg.data[0], meta['palette']))
            for axis, (title, panel) in zip(axes[i], panels.items()):
                axis.imshow(panel)
                axis.set_title(title)
        else:
            truth, predicted = (meta['classes'][int(label)]
                                for label in (sample.gt_label, sample.pred_label))
            axes.flat[i].imshow(image)
            axes.flat[i].set_title(f'{truth}\npredicted: {predicted}')
    if segmentation:
        figure.legend(
            handles=[plt.Rectangle((0, 0), 1, 1, color=np.array(c) / 255) for c in meta['palette']],
            labels=list(meta['classes']), loc='lower center', ncol=6)
    figure.tight_layout(rect=(0, 0.05 if segmentation else 0, 1, 1))
    write_whole(args.out, lambda file: figure.savefig(file, dpi=80))
    print(f'The picture is {args.out}')


def colour(labels: torch.Tensor, palette: list) -> np.ndarray:
    """Colours a label map (H, W) with the data set's palette, (H, W, 3); ignored pixels white."""
    colours = np.full((256, 3), 255, np.uint8)
    colours[:len(palette)] = palette
    return colours[labels.cpu().numpy()]


if __name__ == '__main__':
    with report_user_errors():
        main(args)
