import pytest
import torch
from torch import nn

from cbsa_mm.layers import CBSA, ISTA, Block, Linear
from cbsa_mm.layers.linear import linear


def make_block(ista=True):
    block = Block(12, CBSA(12, 3, grid_size=2), ISTA(12) if ista else None).double()
    for name, parameter in block.named_parameters():
        if 'norm' in name:
            nn.init.normal_(parameter)
    return block


@pytest.mark.parametrize('ista', [True, False])
def test_deploy_form_is_the_same_function(ista):
    block, x = make_block(ista), torch.randn(2, 17, 12, dtype=torch.double)
    expected = block(x, (4, 4))
    block.switch_to_deploy()
    torch.testing.assert_close(block(x, (4, 4)), expected, rtol=1e-10, atol=1e-12)
    state = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    block.switch_to_deploy()  # once more is harmless
    assert set(state) == set(block.state_dict())
    assert not any(name.startswith('norm1') for name in state)
    assert ('ista.matrix' in state) == ista and 'ista.weight' not in state


@pytest.mark.parametrize('shape', [(2, 17, 12), (0, 17, 12), (1, 1, 12), (17, 12), (2, 3, 4, 12)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.double])
def test_linear_is_pytorchs(shape, dtype):
    reference = nn.Linear(12, 5, dtype=dtype)
    ours = Linear(12, 5, dtype=dtype)
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    out, expected = ours(x), reference(x)
    torch.testing.assert_close(out, expected)
    upstream = torch.randn_like(out)
    for our_grad, their_grad in zip(
            torch.autograd.grad(out, [x, *ours.parameters()], upstream),
            torch.autograd.grad(expected, [x, *reference.parameters()], upstream)):
        torch.testing.assert_close(our_grad, their_grad)
    torch.testing.assert_close(linear(x, ours.weight), expected - reference.bias)
