"""Images with masks of foreground, background and boundary, for zero-shot segmentation."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from torch import Tensor

from cbsa_mm.datasets import (
    CheckedPipeline,
    CheckSegLabels,
    build_dataset,
    check_data_folders,
    find_test_dataset,
)
from cbsa_mm.errors import UserError, building
from cbsa_mm.interpret import split_labels


@dataclass
class MaskedImages:
    """Images with masks.

    Attributes:
        infos: For each image, ``img_path``, ``seg_map_path`` and what else ``load`` needs.
        load: Reads ``img``, BGR (H, W, 3), and ``gt_seg_map`` (H, W).
        split: Makes masks (3, H, W) of a label map (H, W).
    """
    infos: list[dict]
    load: Callable[[dict], dict]
    split: Callable[[Tensor], Tensor]

    def read(self, index: int, size: tuple[int, int]) -> tuple[np.ndarray, Tensor]:
        """Reads one image and resizes it, whole and whatever its ratio.

        Args:
            index: Which.
            size: Height and width (H, W).

        Returns:
            RGB (H, W, 3) of uint8, interpolated bilinearly with antialiasing; masks of foreground,
            background and boundary (3, H, W) of bool, by nearest neighbours.

        Raises:
            DataError: If a file is missing, can't be read, or has labels that are no classes.
        """
        info = dict(self.infos[index], seg_fields=[])
        sample = self.load(info)
        image = Image.fromarray(sample['img'][..., ::-1]).resize(size[::-1], Image.BILINEAR)
        masks = self.split(torch.from_numpy(sample['gt_seg_map']))
        return np.array(image), F.interpolate(masks[None].float(), size, mode='nearest')[0].bool()


def open_voc(root: Path) -> MaskedImages:
    """The validation set of PASCAL VOC 2012: all 20 classes are foreground, void is boundary.

    Args:
        root: The folder VOC2012.

    Raises:
        UserError: If it is not there, or laid out otherwise.
    """
    images, labels = root / 'JPEGImages', root / 'SegmentationClass'
    names = root / 'ImageSets/Segmentation/val.txt'
    for path in (images, labels, names):
        if not path.exists():
            raise UserError(f'there is no {path}. PASCAL VOC 2012 is expected as it unpacks, in '
                            f'VOCdevkit/VOC2012:\n  {images}/*.jpg\n  {labels}/*.png\n  {names}')
    infos = [dict(img_path=str(images / f'{name}.jpg'), seg_map_path=str(labels / f'{name}.png'))
             for name in names.read_text().split()]
    load = [
        LoadImageFromFile(),
        LoadAnnotations(
            with_bbox=False, with_label=False, with_seg=True, imdecode_backend='pillow'),
        CheckSegLabels(num_classes=21),
    ]
    return MaskedImages(
        infos, CheckedPipeline(load), partial(split_labels, foreground=range(1, 21)))


def open_test_set(cfg: Config, foreground: Sequence[str] | None, width: int) -> MaskedImages:
    """The test set of a config for segmentation.

    Args:
        cfg: The config.
        foreground: Names of the classes that are; by default, all but 'background'.
        width: Reach of the boundary to either side of the foreground's outline, in pixels.

    Raises:
        UserError: If the data are not there, have no masks or no such classes.
    """
    check_data_folders(cfg, ('test_dataloader', ))
    init_default_scope(cfg.default_scope)
    with building('test_dataloader.dataset'):
        dataset = build_dataset(find_test_dataset(cfg))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    if not all('seg_map_path' in info for info in infos):
        raise UserError(f'the test set of {cfg.filename} has no masks: choose a config for '
                        'segmentation, or PASCAL VOC')
    classes = dataset.metainfo['classes']
    if not foreground and 'background' not in classes:
        raise UserError(f'the test set of {cfg.filename} has no class named background: say which '
                        f'are foreground of {", ".join(classes)}')
    foreground = foreground or [name for name in classes if name != 'background']
    unknown = [name for name in foreground if name not in classes]
    if unknown:
        raise UserError(f'{", ".join(unknown)}: no class of the data set, which are '
                        f'{", ".join(classes)}')
    load = [step for step in dataset.pipeline.transforms
            if isinstance(step, LoadImageFromFile | LoadAnnotations | CheckSegLabels)]
    labels = [classes.index(name) for name in foreground]
    return MaskedImages(infos, CheckedPipeline(load),
                        partial(split_labels, foreground=labels, width=width))
