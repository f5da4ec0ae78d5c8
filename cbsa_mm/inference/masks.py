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
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from PIL import Image
from torch import Tensor

from cbsa_mm.datasets import CheckedPipeline, CheckLabels, build_dataset, find_test_dataset
from cbsa_mm.errors import UserError, building
from cbsa_mm.interpret import split_labels


@dataclass
class MaskedImages:
    """Images with masks.

    Attributes:
        dataset: A data set of mmseg.
        split: Makes masks (3, H, W) of a label map (H, W).
    """
    dataset: BaseDataset
    split: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        self.load = CheckedPipeline([
            step for step in self.dataset.pipeline.transforms
            if isinstance(step, LoadImageFromFile | LoadAnnotations | CheckLabels)])

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
        sample = self.load(self.dataset.get_data_info(index))
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
    names = 'ImageSets/Segmentation/val.txt'
    for path in (root / 'JPEGImages', root / 'SegmentationClass', root / names):
        if not path.exists():
            raise UserError(f'there is no {path}. PASCAL VOC 2012 is expected as it unpacks: give '
                            'the folder VOCdevkit/VOC2012')
    init_default_scope('mmseg')
    with building('PASCAL VOC'):
        dataset = build_dataset(dict(
            type='PascalVOCDataset', data_root=str(root), ann_file=names,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]))
    return MaskedImages(dataset, partial(split_labels, foreground=range(1, 21)))


def open_test_set(cfg: Config, foreground: Sequence[str] | None, width: int) -> MaskedImages:
    """The test set of a config for segmentation.

    Args:
        cfg: The config.
        foreground: Names of the classes that are; by default, all but 'background'.
        width: Reach of the boundary to either side of the foreground's outline, in pixels.

    Raises:
        UserError: If the data are not there, have no masks or no such classes.
    """
    init_default_scope(cfg.default_scope)
    with building('test_dataloader.dataset'):
        dataset = build_dataset(find_test_dataset(cfg))
    if 'seg_map_path' not in dataset.get_data_info(0):
        raise UserError(f'the test set of {cfg.filename} has no masks: choose a config for '
                        'segmentation, or PASCAL VOC')
    classes = dataset.metainfo['classes']
    if not foreground and 'background' not in classes:
        raise UserError(f'the test set of {cfg.filename} has no class named background: say which '
                        f'are foreground of {", ".join(classes)}')
    foreground = foreground or [name for name in classes if name != 'background']
    if unknown := [name for name in foreground if name not in classes]:
        raise UserError(f'{", ".join(unknown)}: no class of the data set, which are '
                        f'{", ".join(classes)}')
    labels = [classes.index(name) for name in foreground]
    return MaskedImages(dataset, partial(split_labels, foreground=labels, width=width))
