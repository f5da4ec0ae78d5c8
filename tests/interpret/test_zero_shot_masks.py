import pytest
import torch

from cbsa_mm.interpret import boundary, iou, keep_mass, segment, split_labels


def test_keeps_the_fewest_patches():
    maps = torch.tensor([[[1., 8.], [4., 3.]], [[0., 0.], [16., 0.]]])
    assert keep_mass(maps, 0.5).int().tolist() == [[[0, 1], [0, 0]], [[0, 0], [1, 0]]]  # exactly
    assert keep_mass(maps, 0.51).int().tolist() == [[[0, 1], [1, 0]], [[0, 0], [1, 0]]]
    assert keep_mass(maps, 0.75).int().tolist() == [[[0, 1], [1, 0]], [[0, 0], [1, 0]]]
    assert keep_mass(maps, 1).int().tolist() == [[[1, 1], [1, 1]], [[0, 0], [1, 0]]]  # no zeros
    equal = keep_mass(torch.ones(1, 2, 4), 0.6)
    assert equal.int().tolist() == [[[1, 1, 1, 1], [1, 0, 0, 0]]]  # the first ones


def test_kept_mass_by_its_definition():
    maps = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    for values, kept in zip(maps.flatten(1), keep_mass(maps, 0.6).flatten(1)):
        assert values[kept].sum() >= 0.6 * values.sum()
        assert values[kept].sum() - values[kept].min() < 0.6 * values.sum()  # none is too many
        assert values[kept].min() > values[~kept].max()


@pytest.mark.parametrize('mass', [0, -1, 1.01, 60])
def test_mass_is_a_share(mass):
    with pytest.raises(ValueError, match=f'above 0 and at most 1, got {mass}'):
        keep_mass(torch.ones(1, 2, 2), mass)


def test_segments_are_patches():
    masks = segment(torch.tensor([[[0., 1.], [0., 0.]]]), (4, 6))
    assert masks[0].int().tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[0] * 6] * 2


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


def test_the_border_of_the_image_is_no_boundary():
    mask = torch.zeros(6, 8, dtype=torch.bool)
    mask[:, :4] = True
    assert boundary(mask, 2).int().tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 6
    assert not boundary(torch.ones_like(mask), 2).any()


def test_labels_of_voc():
    labels = torch.tensor([[0, 0, 255, 3], [0, 255, 15, 15]], dtype=torch.uint8)
    assert split_labels(labels, range(1, 21)).int().tolist() == [
        [[0, 0, 0, 1], [0, 0, 1, 1]], [[1, 1, 0, 0], [1, 0, 0, 0]], [[0, 0, 1, 0], [0, 1, 0, 0]]]


def test_labels_of_others():
    labels = torch.tensor([[0, 0, 0, 2, 2, 2, 1, 1, 255]])
    assert split_labels(labels, [2], width=1)[:, 0].int().tolist() == [
        [0, 0, 0, 0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 1, 0], [0, 0, 1, 1, 0, 1, 1, 0, 0]]
    labels[0, 6:8] = 255  # void makes an outline, but is no part of it
    assert split_labels(labels, [2], width=1)[2, 0].int().tolist() == [0, 0, 1, 1, 0, 1, 0, 0, 0]
