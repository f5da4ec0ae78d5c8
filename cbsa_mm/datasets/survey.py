"""Looking through a data set: faulty files, class frequencies, sizes and kinds of images."""
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from mmengine.fileio import get
from PIL import Image
from rich.progress import track
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from cbsa_mm.errors import DataError

from .check_files import dataset_parts, find_faults
from .check_labels import CheckLabels

INTERVAL = 10  # seconds between lines on the progress, in a log
KINDS = {'L': 'grey', '1': 'black and white', 'P': 'palette', 'LA': 'grey with alpha'}


@dataclass
class Survey:
    """What is in a data set.

    Attributes:
        classes: Names of the classes.
        class_counts: How many pixels there are of each class, or images, or objects, by its index.
        num_images: Number of images.
        faults: Messages that name the files, one for each fault.
        sizes: How many images there are of each (height, width).
        kinds: How many there are of each kind: RGB, grey, RGBA and so on.
    """
    classes: list[str] = field(default_factory=list)
    class_counts: Counter = field(default_factory=Counter)
    num_images: int = 0
    faults: list[str] = field(default_factory=list)
    sizes: Counter = field(default_factory=Counter)
    kinds: Counter = field(default_factory=Counter)

    def add(self, other: 'Survey') -> None:
        """Adds what is in another data set."""
        self.num_images += other.num_images
        self.faults += other.faults
        for name in ('class_counts', 'sizes', 'kinds'):
            getattr(self, name).update(getattr(other, name))


def survey(dataset: Dataset, classes: list[str], num_workers: int = 0, title: str = '',
           num: int | None = None) -> Survey:
    """Reads all files of a data set as training does, and goes on where one is faulty.

    Args:
        dataset: What :func:`build_dataset` makes of a config of mmseg, mmpretrain or mmdet.
        classes: Names of the classes; labels must lie in 0..len(classes) - 1.
        num_workers: Processes that read; 0 to read in this one.
        title: What stands before the progress bar.
        num: How many images are read, evenly spaced; all by default.
    """
    images = ConcatDataset([_Images(part, classes) for part in dataset_parts(dataset)])
    if num and num < len(images):
        images = Subset(images, np.linspace(0, len(images) - 1, num).astype(int).tolist())
    loader = DataLoader(images, batch_size=8, num_workers=num_workers, collate_fn=list)
    batches = iter(loader)  # the workers start before the progress bar's thread
    result = Survey(classes)
    for batch in _show_progress(batches, title, len(loader)):
        for image in batch:
            result.add(image)
    return result


def _show_progress(batches: Iterator, title: str, total: int) -> Iterator:
    """Yields batches beside a progress bar or, without a terminal, a line now and then."""
    if sys.stdout.isatty():
        yield from track(batches, title, total)
        return
    shown = time.monotonic()
    for i, batch in enumerate(batches):
        yield batch
        if time.monotonic() - shown >= INTERVAL:
            print(f'{title}: {i / total:.0%} is read', file=sys.stderr, flush=True)
            shown = time.monotonic()


class _Images(Dataset):
    """The images of a data set, each as :class:`Survey`."""

    def __init__(self, dataset: Dataset, classes: list[str]) -> None:
        from mmcv.transforms import LoadAnnotations, LoadImageFromFile
        self.dataset, self.classes = dataset, classes
        transforms = dataset.pipeline.transforms
        self.steps = [t for t in transforms if isinstance(t, LoadImageFromFile | LoadAnnotations)]
        self.steps.append(CheckLabels(len(classes), getattr(dataset, 'ignore_index', 255)))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Survey:
        results, found = self.dataset.get_data_info(index), Survey(num_images=1)
        if 'img_path' in results:
            self._read_header(results['img_path'], found)
        try:
            for step in self.steps:
                results = step(results)
        except DataError as error:
            found.faults.append(str(error))
        except Exception as error:
            found.faults += find_faults(results, error)
            if not found.faults:
                raise
        if 'img' in results:
            found.sizes[results['img'].shape[:2]] = 1
        if not found.faults:
            objects = [instance['bbox_label'] for instance in results.get('instances', [])]
            labels = np.ravel(results.get('gt_seg_map', results.get('gt_label', objects)))
            values, counts = np.unique(labels[labels < len(self.classes)], return_counts=True)
            found.class_counts.update(dict(zip(values.tolist(), counts.tolist())))
        return found

    def _read_header(self, path: str, found: Survey) -> None:
        with suppress(Exception), Image.open(BytesIO(get(path))) as image:  # faults come up later
            deep = image.mode.startswith(('I', 'F')) or ';16' in str(image.tile)
            found.kinds['more than 8 bits' if deep else KINDS.get(image.mode, image.mode)] = 1
