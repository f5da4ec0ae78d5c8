import pytest
import torch
import torch.nn.functional as F

from cbsa_mm.layers import ODL


def plain(x, D, D1, num_steps, step_size=0.1, sparsity=0.1):
    """ODL as in CRATE-alpha, product by product; x has tokens as rows."""
    z = F.relu(step_size * x @ D - step_size * sparsity)
    for _ in range(num_steps - 1):
        z = F.relu(z - step_size * (z @ D.T - x) @ D - step_size * sparsity)
    return z, z @ D1.T


@pytest.mark.parametrize('ratio, num_steps, decoupled', [(4, 2, True), (1, 1, False), (3, 4, True)])
def test_odl_equals_its_equation_with_gradients(ratio, num_steps, decoupled):
    odl = ODL(6, ratio, num_steps, decoupled).double()
    x = torch.randn(2, 5, 6, dtype=torch.double, requires_grad=True)
    z, y = plain(x, odl.D, odl.D1 if decoupled else odl.D, num_steps)
    torch.testing.assert_close(odl.codes(x), z)
    torch.testing.assert_close(odl(x), y)
    assert (z == 0).any()
    inputs = [x, *odl.parameters()]
    weight = torch.randn_like(y)
    torch.testing.assert_close(torch.autograd.grad((odl(x) * weight).sum(), inputs),
                               torch.autograd.grad((y * weight).sum(), inputs))
