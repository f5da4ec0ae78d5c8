"""The faster forms of mmseg's augmentations against their originals."""
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import TRANSFORMS

import cbsa_mm  # noqa: F401
from cbsa_mm.datasets.shapes import render


def augment(seed, prefix, image, labels, crop):
    """The sample, and what the generator draws next."""
    np.random.seed(seed)
    sample = dict(img=image.copy(), gt_seg_map=labels.copy(), seg_fields=['gt_seg_map'])
    for step in (dict(type=f'{prefix}RandomCrop', **crop),
                 dict(type='RandomFlip', prob=0.5),
                 dict(type=f'{prefix}PhotoMetricDistortion')):
        sample = TRANSFORMS.build(step)(sample)
    return sample['img'], sample['gt_seg_map'], np.random.rand()


@pytest.mark.parametrize('dtype', [np.uint8, np.int64])
def test_pixels_labels_and_draws_are_those_of_mmseg(dtype):
    init_default_scope('mmseg')
    rng = np.random.default_rng(0)
    for seed in range(200):
        height, width, *size = rng.integers(33, 200, 4)
        image, labels = (
            np.resize(x, (height, width, *x.shape[2:])) for x in render(0, seed, 64, 4))
        image = np.clip(image + rng.normal(0, 20, image.shape), 0, 255).astype(np.uint8)
        labels = np.where(rng.random(labels.shape) < 0.2, 255, labels).astype(dtype)
        crop = dict(crop_size=tuple(map(int, size)), cat_max_ratio=(0.3, 0.75, 1.)[seed % 3],
                    ignore_index=(255, 0, -100)[seed // 3 % 3])
        ours, theirs = (augment(seed, prefix, image, labels, crop) for prefix in ('Fast', ''))
        for one, other in zip(ours, theirs):
            np.testing.assert_array_equal(one, other)


def test_images_of_floats_are_left_to_mmseg():
    init_default_scope('mmseg')
    image = np.random.default_rng(0).random((20, 30, 3), np.float32)
    for seed in range(8):
        ours, theirs = (augment(seed, prefix, image, np.zeros((20, 30), np.uint8),
                                dict(crop_size=16)) for prefix in ('Fast', ''))
        np.testing.assert_array_equal(ours[0], theirs[0])
