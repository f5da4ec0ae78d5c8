import pytest
import torch
import torch.nn.functional as F
from gradients import assert_same

from cbsa_mm.layers import Linear
from cbsa_mm.layers.linear import linear


@pytest.mark.parametrize('shape', [(2, 17, 12), (0, 17, 12), (2, 3, 4, 12)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.double])
def test_is_pytorchs(shape, dtype):
    layer = Linear(12, 5, dtype=dtype)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    expected = F.linear(x, layer.weight, layer.bias)
    tolerances = dict(rtol=1.3e-6, atol=1e-5) if dtype == torch.float32 else {}
    assert_same(layer(x), expected, [x, *layer.parameters()], **tolerances)
    torch.testing.assert_close(linear(x, layer.weight), expected - layer.bias)
