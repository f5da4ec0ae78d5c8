"""A transform that refuses labels which would derail training."""
from contextlib import suppress

import numpy as np
from mmengine.registry import TRANSFORMS
from PIL import Image

from cbsa_mm.errors import DataError


@TRANSFORMS.register_module()
class CheckLabels:
    """Checks the labels of a sample, so that an error names the file at fault.

    The tools of this package insert it where labels were just loaded. Unchecked, a value outside
    the classes ends training with an index error on CPU and an anonymous device-side assertion on
    a GPU, and silently falsifies an evaluation.

    Args:
        num_classes: Labels must lie in 0..num_classes - 1,
        ignore_index: or, in a label map, have this value.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def __call__(self, results: dict) -> dict:
        """Passes ``results`` on unchanged.

        Raises:
            DataError: If ``gt_label`` is no class, ``gt_seg_map`` is not of the size of the image
                as it was loaded, or it has a value that is neither a class nor ``ignore_index``.
        """
        label = np.ravel(results.get('gt_label', []))
        if label.dtype.kind in 'iu' and (wrong := self._find_wrong(label)):
            name = results.get('img_path') or f'number {results.get("sample_idx")}'
            raise DataError(f'image {name} has label {wrong[0]} outside the {self.num_classes} '
                            f'classes: expected 0..{self.num_classes - 1}')
        if 'gt_seg_map' in results:
            self._check_label_map(results['gt_seg_map'], results)
        return results

    def _check_label_map(self, labels: np.ndarray, results: dict) -> None:
        path = results['seg_map_path']
        if labels.ndim != 2:
            raise DataError(f'label map {path} has shape {labels.shape}: it must hold one class a '
                            'pixel, not a colour; convert it')
        if labels.shape != results.get('ori_shape', labels.shape):
            raise DataError(
                f'label map {path} has shape {labels.shape}, its image {results["img_path"]} '
                f'{results["ori_shape"]}: mend one of them. If EXIF has the image turned, set '
                "color_type='color_ignore_orientation' in LoadImageFromFile")
        with suppress(OSError), Image.open(path) as image:  # not local, or of another kind
            if image.mode.startswith(('I', 'F')):  # of more than eight bits a pixel
                values = np.asarray(image)
                if values.min() < 0 or values.max() > 255:
                    raise DataError(f'label map {path} has values from {values.min()} to '
                                    f'{values.max()}, of which the lowest eight bits would be '
                                    'kept: convert it to classes below 255')
        wrong = [value for value in self._find_wrong(labels) if value != self.ignore_index]
        if wrong:
            raise DataError(
                f'label map {path} has values {wrong[:10]} outside the {self.num_classes} classes: '
                f'expected 0..{self.num_classes - 1}, or {self.ignore_index} for ignored pixels'
                + (' (after reduce_zero_label)' if results.get('reduce_zero_label') else ''))

    def _find_wrong(self, labels: np.ndarray) -> list:
        return np.unique(labels[(labels < 0) | (labels >= self.num_classes)]).tolist()
