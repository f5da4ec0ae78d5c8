import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cbsa_mm.layers import ODL, Block


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


def test_deploy_form_of_a_block_with_odl():
    block = Block(6, nn.Identity(), ODL(6))
    block.attn.forward = lambda x, grid, offset: x
    block.attn.out_proj = None
    nn.init.normal_(block.norm2.weight)
    nn.init.normal_(block.norm2.bias)
    x = torch.randn(2, 5, 6)
    before = block(x, (1, 5))
    block.switch_to_deploy()
    block.switch_to_deploy()
    torch.testing.assert_close(block(x, (1, 5)), before)


@pytest.mark.parametrize('name', ['ratio', 'num_steps'])
def test_sizes_are_positive(name):
    with pytest.raises(ValueError, match=f'{name} must be at least 1, got 0'):
        ODL(6, **{name: 0})
