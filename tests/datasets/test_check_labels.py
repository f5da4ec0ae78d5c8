import numpy as np
import pytest

from cbsa_mm.datasets import CheckSegLabels


def results(labels):
    return dict(img_path='a.jpg', seg_map_path='a.png', ori_shape=(2, 2),
                gt_seg_map=np.array(labels, np.uint8))


def test_passes_classes_and_ignored_pixels():
    given = results([[0, 10], [255, 3]])
    assert CheckSegLabels(num_classes=11)(given) is given


def test_names_file_and_values():
    with pytest.raises(ValueError, match=r'a.png has values \[11, 200\] outside the 11 classes'):
        CheckSegLabels(num_classes=11)(results([[200, 11], [255, 3]]))


def test_refuses_another_size():
    with pytest.raises(ValueError, match=r'a.png has shape \(1, 2\), its image a.jpg \(2, 2\)'):
        CheckSegLabels(num_classes=11)(results([[0, 1]]))


def test_does_nothing_without_labels():
    given = dict(img_path='a.jpg')
    assert CheckSegLabels(num_classes=11)(given) is given
