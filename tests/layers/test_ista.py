import oracle
import pytest
import torch
from gradients import assert_same

from cbsa_mm.layers import ISTA


@pytest.mark.parametrize('num_tokens', [3, 9, 40], ids=['thin', 'square', 'tall'])
@pytest.mark.parametrize('step_size, sparsity', [(0.1, 0.1), (0.3, 0.02)])
def test_equals_the_plain_form(num_tokens, step_size, sparsity):
    torch.manual_seed(0)
    layer = ISTA(9, step_size, sparsity).double()
    y = torch.randn(1, num_tokens, 9, dtype=torch.double, requires_grad=True)
    theirs = oracle.ista(y, layer.weight, step_size, sparsity)
    assert_same(layer(y), theirs, [y, layer.weight])
