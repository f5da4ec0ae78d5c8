import pytest
import torch

from cbsa_mm.interpret import boundary, iou, keep_mass, split_labels


def test_keeps_the_fewest_patches():
    maps = torch.tensor([[[1., 8.], [4., 3.]], [[0., 0.], [16., 0.]]])
    assert keep_mass(maps, 0.5).int().tolist() == [[[0, 1], [0, 0]], [[0, 0], [1, 0]]]  # exactly
    assert keep_mass(maps, 0.51).int().tolist() == [[[0, 1], [1, 0]], [[0, 0], [1, 0]]]
    assert keep_mass(maps, 0.75).int().tolist() == [[[0, 1], [1, 0]], [[0, 0], [1, 0]]]
    assert keep_mass(maps, 1).int().tolist() == [[[1, 1], [1, 1]], [[0, 0], [1, 0]]]  # no zeros
    equal = keep_mass(torch.ones(1, 2, 4), 0.6)
    assert equal.int().tolist() == [[[1, 1, 1, 1], [1, 0, 0, 0]]]  # the first ones
    with pytest.raises(ValueError, match='above 0 and at most 1, got 60'):
        keep_mass(maps, 60)


def test_iou():
    pred = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)[:, None]
    target = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)[:, None]
    values = iou(pred[:, None], target)
    expected = torch.tensor([[1, 1 / 3, torch.nan], [0, 0, torch.nan], [0.5, 0.5, torch.nan]])
    torch.testing.assert_close(values, expected, equal_nan=True)


def test_boundary_lies_on_both_sides():
    mask = torch.zeros(7, 9, dtype=torch.bool)
    mask[2:5, 2:7] = True
    rim = boundary(mask, 1)
    expected = torch.zeros_like(mask)
    expected[1:6, 1:8] = True
    expected[3, 3:6] = False
    assert torch.equal(rim, expected)
    assert not boundary(torch.ones_like(mask), 2).any()  # nor is the border of the image one


def test_labels_of_others():
    labels = torch.tensor([[0, 0, 0, 2, 2, 2, 1, 1, 255]])
    assert split_labels(labels, [2], width=1)[:, 0].int().tolist() == [
        [0, 0, 0, 0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 1, 0], [0, 0, 1, 1, 0, 1, 1, 0, 0]]
    labels[0, 6:8] = 255  # void makes an outline, but is no part of it
    assert split_labels(labels, [2], width=1)[2, 0].int().tolist() == [0, 0, 1, 1, 0, 1, 0, 0, 0]
