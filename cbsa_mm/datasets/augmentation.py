"""mmseg's augmentations by tables of the 256 values that a byte can have: the same in less time."""
import cv2
import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmseg.datasets.transforms import PhotoMetricDistortion, RandomCrop
from mmseg.registry import TRANSFORMS

BYTES = np.arange(256, dtype=np.uint8)


@TRANSFORMS.register_module()
class FastRandomCrop(RandomCrop):
    """mmseg's RandomCrop, which counts the pixels of each class instead of sorting them.

    Random draws and crops are the same, and so are the arguments.
    """

    @cache_randomness
    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """Draws a crop, again up to ten times while one class covers too much of it.

        Args:
            results: A sample with ``img`` (H, W, C) and ``gt_seg_map`` (H, W).

        Returns:
            Its first and last row, first and last column, the last ones excluded.
        """
        labels = results.get('gt_seg_map')
        if self.cat_max_ratio >= 1 or labels.dtype != np.uint8:
            return super().crop_bbox(results)
        bbox = self._draw(results['img'])
        for _ in range(10):
            if self._is_mixed(self.crop(labels, bbox)):
                break
            bbox = self._draw(results['img'])
        return bbox

    def _draw(self, image: np.ndarray) -> tuple[int, int, int, int]:
        (height, width), (rows, columns) = image.shape[:2], self.crop_size
        top = np.random.randint(0, max(height - rows, 0) + 1)
        left = np.random.randint(0, max(width - columns, 0) + 1)
        return top, top + rows, left, left + columns

    def _is_mixed(self, labels: np.ndarray) -> bool:
        """Whether there are two classes, none of which covers ``cat_max_ratio`` or more."""
        counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel().astype(int)
        counts = counts[(BYTES != self.ignore_index) & (counts > 0)]
        return len(counts) > 1 and counts.max() / counts.sum() < self.cat_max_ratio


@TRANSFORMS.register_module()
class FastPhotoMetricDistortion(PhotoMetricDistortion):
    """mmseg's PhotoMetricDistortion, which computes each change for 256 values and looks it up.

    Random draws and pixels are the same, and so are the arguments.
    """

    def transform(self, results: dict) -> dict:
        """Distorts ``img`` (H, W, 3), and lays it out by channels, as it will be packed."""
        image = results['img']
        if image.dtype == np.uint8 and image.strides[1] < 0:
            # A view mirrored by RandomFlip, which OpenCV copies thirty times as fast as NumPy.
            results['img'] = cv2.flip(image[:, ::-1], 1)
        results = super().transform(results)
        results['img'] = np.stack(cv2.split(results['img'])).transpose(1, 2, 0)
        return results

    def convert(self, img: np.ndarray, alpha: float = 1, beta: float = 0) -> np.ndarray:
        """Maps values x to alpha x + beta, clipped to 0..255."""
        if img.dtype != np.uint8:
            return super().convert(img, alpha, beta)
        return cv2.LUT(img, super().convert(BYTES, alpha, beta))

    def hue(self, img: np.ndarray) -> np.ndarray:
        """Turns the hue with a probability of a half."""
        if img.dtype != np.uint8:
            return super().hue(img)
        if not np.random.randint(2):
            return img
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        shift = np.random.randint(-self.hue_delta, self.hue_delta)
        hsv[:, :, 0] = cv2.LUT(hsv[:, :, 0], ((BYTES.astype(int) + shift) % 180).astype(np.uint8))
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
