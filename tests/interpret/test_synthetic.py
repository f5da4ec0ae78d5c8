from itertools import islice

import pytest
import torch

from cbsa_mm.interpret import coding_rate
from cbsa_mm.interpret.synthetic import (
    contract_and_broadcast,
    contract_linearly,
    energy_off_lines,
    noisy_lines,
)


def last(iterations):
    return next(islice(iterations, 29, None))


@pytest.mark.parametrize('num_lines', [2, 3])
def test_ends_in_separate_lines(num_lines):
    generator = torch.Generator().manual_seed(0)
    points, directions = noisy_lines(num_lines, 192, 0.1, generator)
    at_once = points.flatten(0, 1)[None]
    off = energy_off_lines(points, directions)
    for after in (last(contract_and_broadcast(at_once)).view_as(points),
                  last(contract_linearly(points, 0.1))):
        assert energy_off_lines(after, directions) < off / 5
        assert coding_rate(after[:, None]).mean() < coding_rate(points[:, None]).mean() - 0.9
        torch.testing.assert_close(after.square().mean(), points.square().mean())
    if num_lines > 2:  # they span all three dimensions: no linear map keeps them and not the noise
        after = last(contract_linearly(at_once, 0.1)).view_as(points)
        assert energy_off_lines(after, directions) > 0.9 * off


def test_linear_variant_is_equation_12():
    points, _ = noisy_lines(2, 64, 0.2)
    z, step = points[:1].double(), 0.3
    after = next(contract_linearly(points[:1], 0.2, step))
    singular = torch.linalg.svd(z[0], full_matrices=False)
    kept = 1 - step * (64 * 0.2) / (64 * 0.2 + singular.S**2)
    expected = singular.U * (kept * singular.S) @ singular.Vh
    expected *= z.square().mean().sqrt() / expected.square().mean().sqrt()
    torch.testing.assert_close(after[0].double(), expected, rtol=1e-4, atol=1e-5)
