import io

import numpy as np
from mmengine import fileio
from mmengine.registry import DATASETS
from PIL import Image

from cbsa_mm.datasets import ShapesDataset
from cbsa_mm.datasets.shapes import SHAPES, draw_classes, render


def test_labels_are_the_drawn_classes():
    maps = np.stack([render(0, index, 64, 4)[1] for index in range(50)])
    for index, labels in enumerate(maps):
        assert set(np.unique(labels)) <= {0, *(draw_classes(0, index, 4) + 1)}
    assert (maps == 0).mean() < 0.85  # background alone is no good answer
    assert all((maps == c).mean() > 0.01 for c in range(1, len(SHAPES) + 1))


def test_files_are_read_through_mmengine():
    dataset = ShapesDataset(num_images=3, seed=7, size=32)
    info = dataset.get_data_info(2)
    read = {key: np.asarray(Image.open(io.BytesIO(fileio.get(info[key]))))
            for key in ('img_path', 'seg_map_path')}
    image, labels = render(7, 2, 32, 4)  # a function of seed and index
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
