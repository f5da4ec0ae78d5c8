"""A transform that refuses label maps which would derail training."""
import numpy as np

from cbsa_mm.errors import UserError


class CheckSegLabels:
    """Checks a label map just loaded, so that an error names the file at fault.

    It stands behind ``LoadAnnotations``, and does nothing where there are no labels. Without it,
    a value outside the classes ends training with an index error on CPU and an anonymous
    device-side assertion on a GPU, and falsifies an evaluation silently.

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
            UserError: If ``gt_seg_map`` is not of the size of the image as it was loaded, or has a
                value that is neither a class nor ``ignore_index``.
        """
        if 'gt_seg_map' not in results:
            return results
        labels = results['gt_seg_map']
        if labels.shape != results['ori_shape']:
            raise UserError(f'label map {results["seg_map_path"]} has shape {labels.shape}, its '
                            f'image {results["img_path"]} {results["ori_shape"]}')
        wrong = np.unique(labels[(labels < 0) | (labels >= self.num_classes)])
        wrong = wrong[wrong != self.ignore_index].tolist()
        if wrong:
            raise UserError(
                f'label map {results["seg_map_path"]} has values {wrong[:10]} outside the '
                f'{self.num_classes} classes: expected 0..{self.num_classes - 1}, or '
                f'{self.ignore_index} for ignored pixels'
                + (' (after reduce_zero_label)' if results.get('reduce_zero_label') else ''))
        return results
