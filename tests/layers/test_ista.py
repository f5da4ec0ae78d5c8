import oracle
import pytest
import torch

from cbsa_mm.layers import ISTA


@pytest.mark.parametrize('num_tokens', [3, 9, 40], ids=['thin', 'square', 'tall'])
@pytest.mark.parametrize('step_size, sparsity', [(0.1, 0.1), (0.3, 0.02)])
def test_equals_the_plain_form(num_tokens, step_size, sparsity):
    torch.manual_seed(0)
    layer = ISTA(9, step_size, sparsity).double()
    y = torch.randn(1, num_tokens, 9, dtype=torch.double, requires_grad=True)
    ours, theirs = layer(y), oracle.ista(y, layer.weight, step_size, sparsity)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    upstream = torch.randn_like(ours)
    for our_grad, their_grad in zip(
            torch.autograd.grad(ours, [y, layer.weight], upstream),
            torch.autograd.grad(theirs, [y, layer.weight], upstream)):
        torch.testing.assert_close(our_grad, their_grad, rtol=1e-10, atol=1e-12)


def test_thresholds():
    layer = ISTA(16)
    torch.nn.init.zeros_(layer.weight)
    y = torch.tensor([[-1., 0.005, 0.01, 0.02] * 4])
    expected = torch.tensor([[0., 0., 0., 0.01] * 4])
    torch.testing.assert_close(layer(y), expected)
