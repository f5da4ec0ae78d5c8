"""Transforms that refuse labels which would derail training."""
import numpy as np
from mmengine.registry import TRANSFORMS
from PIL import Image

from cbsa_mm.errors import DataError

EXIF_ORIENTATION = 0x112
DEEP_MODES = ('I;16', 'I;16B', 'I;16L', 'I', 'F')  # Pillow's, of more than eight bits a pixel


@TRANSFORMS.register_module()
class CheckSegLabels:
    """Checks a label map just loaded, so that an error names the file at fault.

    It follows ``LoadAnnotations``, where the tools of this package insert it, and does nothing
    without labels. Unchecked, a value outside the classes ends training with an index error on CPU
    and an anonymous device-side assertion on a GPU, and silently falsifies an evaluation.

    Args:
        num_classes: Labels must lie in 0..num_classes - 1,
        ignore_index: or have this value.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def __call__(self, results: dict) -> dict:
        """Passes ``results`` on unchanged.

        Raises:
            DataError: If ``gt_seg_map`` is not of the size of the image as it was loaded, or its
                file has a value that is neither a class nor ``ignore_index``.
        """
        if 'gt_seg_map' not in results:
            return results
        labels, path = results['gt_seg_map'], results['seg_map_path']
        _check_depth(path)
        if labels.ndim != 2:
            raise DataError(f'label map {path} has shape {labels.shape}: it must hold one class a '
                            'pixel, not a colour; convert it')
        if labels.shape != results.get('ori_shape', labels.shape):
            raise DataError(f'label map {path} has shape {labels.shape}, its image '
                            f'{results["img_path"]} {results["ori_shape"]}: '
                            + _advise_size(results['img_path']))
        wrong = np.unique(labels[(labels < 0) | (labels >= self.num_classes)])
        wrong = wrong[wrong != self.ignore_index].tolist()
        if wrong:
            raise DataError(
                f'label map {path} has values {wrong[:10]} outside the '
                f'{self.num_classes} classes: expected 0..{self.num_classes - 1}, or '
                f'{self.ignore_index} for ignored pixels'
                + (' (after reduce_zero_label)' if results.get('reduce_zero_label') else ''))
        return results


@TRANSFORMS.register_module()
class CheckClsLabels:
    """Checks the label of an image to classify, or its labels.

    Args:
        num_classes: Labels must lie in 0..num_classes - 1.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def __call__(self, results: dict) -> dict:
        """Passes ``results`` on unchanged; those without ``gt_label``, too.

        Raises:
            DataError: If a label is no class.
        """
        labels = np.atleast_1d(results.get('gt_label', []))
        if labels.dtype.kind in 'iu' and ((labels < 0) | (labels >= self.num_classes)).any():
            name = results.get('img_path') or f'number {results.get("sample_idx")}'
            raise DataError(f'image {name} has label {results["gt_label"]} outside the '
                            f'{self.num_classes} classes: expected 0..{self.num_classes - 1}')
        return results


def _check_depth(path: str) -> None:
    """Refuses what ``LoadAnnotations`` would cut to eight bits without a word."""
    try:
        image = Image.open(path)
    except OSError:  # not local, or nothing that Pillow reads
        return
    with image:
        if image.mode not in DEEP_MODES:
            return
        values = np.asarray(image)
    lowest, highest = values.min(), values.max()
    if lowest < 0 or highest > 255:
        raise DataError(f'label map {path} has values from {lowest} to {highest}, of which the '
                        'lowest eight bits would be kept: convert it to classes below 255')


def is_rotated(image: Image.Image) -> bool:
    """Whether an image's EXIF says that it is not to be shown as it is stored."""
    return image.getexif().get(EXIF_ORIENTATION, 1) != 1


def _advise_size(path: str) -> str:
    """What to do about an image of another size than its label map."""
    try:
        with Image.open(path) as image:
            rotated = is_rotated(image)
    except OSError:  # not local, or nothing that Pillow reads
        rotated = False
    if rotated:
        return ('EXIF has the image turned while it is loaded, but nothing turns the label map. '
                "Set color_type='color_ignore_orientation' in LoadImageFromFile, or store the "
                'image upright')
    return 'mend one of them, or take both out of the data set'
