"""Procedural images of textured shapes: data without files, for demonstrations and tests."""
import io
from functools import lru_cache

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import BaseStorageBackend, register_backend
from mmengine.registry import DATASETS
from PIL import Image

SHAPES = ('disk', 'square', 'triangle', 'star', 'ring')
TEXTURES = ('stripes', 'checks', 'dots', 'grains', 'plain')
PALETTE = [[0, 0, 0], [230, 75, 53], [77, 187, 213], [0, 160, 135], [243, 155, 127], [60, 84, 136]]


def draw_classes(seed: int, index: int, num_shapes: int) -> np.ndarray:
    """Which of :data:`SHAPES` image ``index`` of family ``seed`` holds: 1 to num_shapes of them."""
    rng = np.random.default_rng((seed, index, num_shapes))
    return rng.integers(len(SHAPES), size=rng.integers(1, num_shapes + 1))


def render(seed: int, index: int, size: int, num_shapes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws textured shapes over a cluttered background.

    Outline and kind of texture tell the class; colours, scales, positions and angles are random.
    Later shapes cover earlier ones.

    Args:
        seed: Names a family of images,
        index: and one image of it.
        size: Height and width in pixels.
        num_shapes: How many shapes are drawn at most; at least one is.

    Returns:
        An RGB image (size, size, 3) and a label map (size, size), both uint8; label 0 is the
        background and label i + 1 ``SHAPES[i]``.
    """
    rng = np.random.default_rng((seed, index))
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    image = _texture('slope', rng, x, y)
    for _ in range(rng.integers(6, 12)):  # clutter: plain bars of no class
        angle, (cx, cy) = rng.uniform(0, np.pi), rng.uniform(0, 1, 2)
        u, v = _rotate(x - cx, y - cy, angle)
        length, width = rng.uniform(0.02, 0.3), rng.uniform(0.008, 0.025)
        image[(np.abs(u) < length) & (np.abs(v) < width)] = rng.uniform(0, 1, 3)
    labels = np.zeros((size, size), np.uint8)
    for label in draw_classes(seed, index, num_shapes):
        radius = rng.uniform(0.16, 0.3)
        cx, cy = rng.uniform(radius / 2, 1 - radius / 2, 2)
        u, v = _rotate(x - cx, y - cy, rng.uniform(0, 2 * np.pi))
        inside = _inside(SHAPES[label], u / radius, v / radius)
        image[inside] = _texture(TEXTURES[label], rng, x, y)[inside]
        labels[inside] = label + 1
    image += rng.normal(0, 0.03, image.shape).astype(np.float32)
    return (image.clip(0, 1) * 255).astype(np.uint8), labels


def _rotate(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def _inside(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which points lie inside a shape of radius about 1 around the origin."""
    r, angle = np.hypot(u, v), np.arctan2(v, u)
    if shape == 'disk':
        return r < 0.9
    if shape == 'square':
        return np.maximum(np.abs(u), np.abs(v)) < 0.8
    if shape == 'triangle':
        return np.max([u * np.cos(t) + v * np.sin(t) for t in np.arange(3) * 2 * np.pi / 3],
                      axis=0) < 0.55
    if shape == 'star':
        return r < 0.75 + 0.35 * np.cos(5 * angle)
    return (0.5 < r) & (r < 1)  # ring


def _texture(name: str, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A pattern of random direction, scale and colours over the plane, (H, W, 3) in 0..1."""
    u, v = _rotate(x, y, rng.uniform(0, np.pi))
    period = rng.uniform(0.06, 0.1)
    s, t = np.sin(2 * np.pi * u / period), np.sin(2 * np.pi * v / period)
    mix = {
        'stripes': s > 0,
        'checks': s * t > 0,
        'dots': s + t > 0.7,
        'grains': rng.uniform(0, 1, x.shape) > 0.5,
        'plain': np.zeros_like(x),
        'slope': (u - u.min()) / (u.max() - u.min()),
    }[name][..., None].astype(np.float32)
    dark, light = rng.uniform(0, 0.45, 3), rng.uniform(0.55, 1, 3)
    return (mix * dark + (1 - mix) * light).astype(np.float32)


@register_backend('shapes', prefixes='shapes')
class ShapesBackend(BaseStorageBackend):
    """Serves rendered images under ``shapes://SEED/SIZE/NUM_SHAPES/{images,labels}/INDEX.png``.

    So every loader, visualizer and inferencer that reads through mmengine reads them as files.
    """

    def get(self, filepath: str) -> bytes:
        """Renders the image or label map of that name to PNG bytes."""
        path = str(filepath).removeprefix('shapes://').removesuffix('.png')
        seed, size, num_shapes, kind, index = path.split('/')
        image, labels = self._render(int(seed), int(index), int(size), int(num_shapes))
        buffer = io.BytesIO()
        Image.fromarray(image if kind == 'images' else labels).save(
            buffer, 'PNG', compress_level=0)
        return buffer.getvalue()

    def get_text(self, filepath: str) -> str:
        """Refused: there are no texts."""
        raise ValueError(f'{filepath} is an image, not a text')

    _render = staticmethod(lru_cache(maxsize=4)(render))  # image and labels are read in turn


@DATASETS.register_module()
class ShapesDataset(BaseDataset):
    """Procedural shapes for mmseg (what shape is each pixel of?) and mmpretrain (which is it?).

    It needs no files: image i is drawn from ``(seed, i)``. Use different seeds for training and
    validation.

    Args:
        task: 'segmentation', with background and :data:`SHAPES` as classes, or 'classification',
            with one shape per image and :data:`SHAPES` as classes.
        num_images: Length of the data set.
        seed: Names the family of images.
        size: Height and width in pixels.
        kwargs: :class:`mmengine.dataset.BaseDataset`'s arguments, such as ``pipeline``.

    Raises:
        ValueError: If ``task`` is neither of the two, or ``size`` is not positive.
    """

    def __init__(self,
                 task: str = 'segmentation',
                 num_images: int = 1000,
                 seed: int = 0,
                 size: int = 128,
                 **kwargs) -> None:
        if task not in ('segmentation', 'classification'):
            raise ValueError(f"task must be 'segmentation' or 'classification', got {task!r}")
        if size < 1:
            raise ValueError(f'size must be at least 1, got {size}')
        self.task = task
        self.num_images = num_images
        self.seed = seed
        self.size = size
        first = 0 if task == 'segmentation' else 1
        metainfo = dict(classes=('background', *SHAPES)[first:], palette=PALETTE[first:])
        super().__init__(metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Lists the images as mmseg's or mmpretrain's loading transforms expect them."""
        return [self._data_info(index) for index in range(self.num_images)]

    def _data_info(self, index: int) -> dict:
        num_shapes = 4 if self.task == 'segmentation' else 1
        folder = f'shapes://{self.seed}/{self.size}/{num_shapes}'
        info = dict(img_path=f'{folder}/images/{index:06}.png')
        if self.task == 'classification':
            [gt_label] = draw_classes(self.seed, index, num_shapes)
            return dict(info, gt_label=int(gt_label))
        return dict(
            info,
            seg_map_path=f'{folder}/labels/{index:06}.png',
            label_map=None,
            reduce_zero_label=False,
            seg_fields=[])
