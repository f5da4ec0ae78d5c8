import io

import numpy as np
import pytest
from mmengine import fileio
from mmengine.registry import DATASETS
from PIL import Image

from cbsa_mm.datasets import ShapesDataset
from cbsa_mm.datasets.shapes import SHAPES, draw_classes, render


def test_an_image_is_a_function_of_seed_and_index():
    image, labels = render(3, 5, 64, 4)
    assert image.shape == (64, 64, 3) and labels.shape == (64, 64)
    assert image.dtype == labels.dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(render(3, 5, 64, 4), (image, labels)))
    assert not np.array_equal(render(3, 6, 64, 4)[0], image)
    assert not np.array_equal(render(4, 5, 64, 4)[0], image)


def test_labels_are_the_drawn_classes():
    seen = set()
    for index in range(50):
        _, labels = render(0, index, 64, 4)
        drawn = set(draw_classes(0, index, 4) + 1)
        assert set(np.unique(labels)) <= drawn | {0}
        seen |= drawn
    assert seen == set(range(1, len(SHAPES) + 1))


def test_background_alone_is_no_good_answer():
    labels = np.stack([render(1, i, 64, 4)[1] for i in range(50)])
    assert (labels == 0).mean() < 0.85
    assert all((labels == c).mean() > 0.01 for c in range(1, len(SHAPES) + 1))


def test_files_are_read_through_mmengine():
    dataset = ShapesDataset(num_images=3, seed=7, size=32)
    info = dataset.get_data_info(2)
    read = {key: np.asarray(Image.open(io.BytesIO(fileio.get(info[key]))))
            for key in ('img_path', 'seg_map_path')}
    image, labels = render(7, 2, 32, 4)
    assert np.array_equal(read['img_path'], image)
    assert np.array_equal(read['seg_map_path'], labels)


def test_classification_labels():
    dataset = DATASETS.build(dict(type='ShapesDataset', task='classification', num_images=40))
    assert dataset.metainfo['classes'] == SHAPES
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        labels = np.asarray(Image.open(io.BytesIO(
            fileio.get(info['img_path'].replace('images', 'labels')))))
        assert set(np.unique(labels)) == {0, info['gt_label'] + 1}


def test_refuses_other_tasks_and_sizes():
    with pytest.raises(ValueError, match='size must be at least 1, got 0'):
        ShapesDataset(size=0)
    with pytest.raises(ValueError, match="must be 'segmentation' or 'classification', got 'depth'"):
        ShapesDataset(task='depth')
