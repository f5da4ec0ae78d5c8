"""Data sets whose errors name the file at fault."""
import os.path as osp
from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import get
from mmengine.registry import DATASETS
from PIL import Image, UnidentifiedImageError
from torch.utils.data import Dataset

from cbsa_mm.errors import DataError

from .check_labels import CheckClsLabels

DEEP_MODES = ('I;16', 'I;16B', 'I;16L', 'I', 'F')  # Pillow's, of more than eight bits a pixel


class CheckedLoading:
    """A transform that loads an image or a label map, with errors that name the file.

    Args:
        transform: A loading transform, such as mmcv's ``LoadImageFromFile`` or mmseg's
            ``LoadAnnotations``.
    """

    def __init__(self, transform: Callable[[dict], dict]) -> None:
        self.transform = transform
        labels = 'Annotation' in type(transform).__name__
        self.key, self.what = ('seg_map_path', 'label map') if labels else ('img_path', 'image')

    def __call__(self, results: dict) -> dict:
        """Loads the file that ``results`` name.

        Raises:
            DataError: If it can't be read, or if its values would not survive the reading.
        """
        path = results.get(self.key)
        if path is None:
            return self.transform(results)
        self._check_depth(path)
        try:
            return self.transform(results)
        except Exception as error:
            if fault := self._find_fault(path):
                raise DataError(fault) from error
            if isinstance(error, AssertionError):
                raise DataError(f"{self.what} {path} can't be loaded ({error})") from error
            raise

    def _check_depth(self, path: str) -> None:
        """Refuses what the transform would cut to eight bits without a word."""
        labels = self.what == 'label map'
        if not labels and getattr(self.transform, 'imdecode_backend', None) != 'pillow':
            return  # OpenCV scales the values
        values = _deep_values(path)
        if values is None:
            return
        if not labels:
            raise DataError(f'image {path} has more than eight bits a pixel, which Pillow would '
                            "cut off at 255: convert it, or set imdecode_backend='cv2' in "
                            'LoadImageFromFile')
        if values.min() < 0 or values.max() > 255:
            raise DataError(f'label map {path} has values from {values.min()} to {values.max()}, '
                            'of which the lowest eight bits would be kept: convert it to classes '
                            'below 255')

    def _find_fault(self, path: str) -> str | None:
        """Says what is wrong with a file, and what to do; None if Pillow reads it well."""
        try:
            content = get(path, getattr(self.transform, 'backend_args', None))
        except FileNotFoundError:
            return f'there is no {self.what} {path}: add it, or leave its sample out'
        except OSError as error:
            return f"{self.what} {path} can't be opened ({error.strerror or error})"
        try:
            with Image.open(BytesIO(content)) as image:
                image.load()
            return None
        except UnidentifiedImageError:
            fault = 'is no image file' if content else 'is empty'
        except Exception as error:
            fault = f'is damaged or cut off ({error})'
        return f'{self.what} {path} {fault}: replace it, or leave it out'


def build_dataset(cfg: dict) -> Dataset:
    """Builds a data set whose errors name the file at fault.

    Args:
        cfg: Its config.
    """
    dataset = DATASETS.build(cfg)
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    guard_dataset(dataset)
    return dataset


def guard_dataset(dataset: Dataset) -> None:
    """Has errors of a data set name the file at fault, and checks its labels for classification.

    Args:
        dataset: Any data set; what is not of OpenMMLab's kind is left alone.
    """
    for part in dataset_parts(dataset):
        transforms = part.pipeline.transforms
        guard_transforms(transforms)
        classes = part.metainfo.get('classes')
        if classes is not None:
            transforms.insert(0, CheckClsLabels(len(classes)))


def guard_transforms(transforms: list) -> None:
    """Puts :class:`CheckedLoading` around those of a pipeline's transforms that load files.

    Args:
        transforms: The list to change.
    """
    for i, transform in enumerate(transforms):
        if type(transform).__name__.startswith('Load'):  # as all of OpenMMLab's are called
            transforms[i] = CheckedLoading(transform)
        for subroutine in getattr(transform, 'subroutines', []):  # of TestTimeAug
            guard_transforms(subroutine.transforms)


def dataset_parts(dataset: Dataset) -> Iterator[BaseDataset]:
    """Yields the data sets inside wrappers such as ``RepeatDataset`` and ``ConcatDataset``."""
    if isinstance(dataset, BaseDataset):
        yield dataset
        return
    inner = [getattr(dataset, name) for name in ('dataset', '_dataset') if hasattr(dataset, name)]
    for part in inner + getattr(dataset, 'datasets', []):
        yield from dataset_parts(part)


def _deep_values(path: str) -> np.ndarray | None:
    """The pixels of a local image file, if it has more than eight bits for each."""
    if not osp.isfile(path):
        return None
    try:
        with Image.open(path) as image:
            return np.asarray(image) if image.mode in DEEP_MODES else None
    except Exception:  # which may come from the transform, too, or it reads what Pillow can't
        return None
