"""Data sets whose errors name the file at fault."""
from collections.abc import Iterator
from io import BytesIO

from mmengine.dataset import BaseDataset, Compose
from mmengine.fileio import get
from mmengine.registry import DATASETS
from PIL import Image, UnidentifiedImageError
from torch.utils.data import Dataset

from cbsa_mm.errors import DataError

from .check_labels import CheckLabels

FILES = {'img_path': 'image', 'seg_map_path': 'label map'}  # what a sample tells, by its keys


class CheckedPipeline(Compose):
    """A pipeline whose errors name the image or the label map at fault."""

    def __call__(self, results: dict) -> dict | None:
        """Applies all transforms.

        Raises:
            DataError: If one of them fails on a file that can't be read.
        """
        try:
            return super().__call__(results)
        except DataError:
            raise
        except Exception as error:
            if faults := find_faults(results, error):
                raise DataError('; '.join(faults)) from error
            raise


def find_faults(results: dict, error: Exception) -> list[str]:
    """Says which files of a sample are faulty, and what to do.

    Args:
        results: What a data set tells of the sample.
        error: What a transform ended with; it is taken at its word if it names a file that Pillow
            reads.
    """
    files = [(results[key], kind) for key, kind in FILES.items() if results.get(key)]
    faults = [fault for path, kind in files if (fault := _find_fault(path, kind))]
    return faults or [f"{kind} {path} can't be loaded ({error})"
                      for path, kind in files if str(path) in str(error)]


def _find_fault(path: str, kind: str) -> str | None:
    try:
        content = get(path)
    except FileNotFoundError:
        return f'there is no {kind} {path}: add it, or leave its sample out'
    except OSError as error:
        return f"{kind} {path} can't be opened ({error.strerror or error})"
    try:
        with Image.open(BytesIO(content)) as image:
            image.load()
        return None
    except UnidentifiedImageError:
        fault = 'is no image file' if content else 'is empty'
    except Exception as error:
        fault = f'is damaged or cut off ({error})'
    return f'{kind} {path} {fault}: replace it, or leave it out'


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
    """Makes errors of a data set name the file at fault, and checks its labels.

    Args:
        dataset: Any data set; what is not of OpenMMLab's kind is left alone.
    """
    from mmcv.transforms import LoadAnnotations
    for part in dataset_parts(dataset):
        transforms, classes = [*part.pipeline.transforms], part.metainfo.get('classes')
        if classes is not None:
            check = CheckLabels(len(classes), getattr(part, 'ignore_index', 255))
            places = [i for i, step in enumerate(transforms) if isinstance(step, LoadAnnotations)]
            for place in reversed(places or [-1]):  # labels of images come with the sample
                transforms.insert(place + 1, check)
        part.pipeline = CheckedPipeline(transforms)


def dataset_parts(dataset: Dataset) -> Iterator[BaseDataset]:
    """Yields the data sets inside wrappers such as ``RepeatDataset`` and ``ConcatDataset``."""
    if isinstance(dataset, BaseDataset):
        yield dataset
        return
    inner = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', [])
    for part in inner:
        yield from dataset_parts(part)
