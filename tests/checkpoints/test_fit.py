import pytest
import torch

from cbsa_mm.checkpoints import load_strictly
from cbsa_mm.errors import UserError


def test_loads_with_and_without_prefix():
    model, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    load_strictly(model, dict(state_dict={f'module.{k}': v for k, v in other.state_dict().items()}))
    assert torch.equal(model.weight, other.weight)
    load_strictly(model, other.state_dict())


@pytest.mark.parametrize('change, message', [
    (dict(weight=torch.zeros(3, 4)), 'does not fit the model.*size mismatch for weight.*Use the '
     'config'),
    (dict(extra=torch.zeros(1)), 'does not fit the model.*Unexpected key'),
    (dict(bias=None), 'does not fit the model.*Missing key'),
    ({'module.bias': torch.zeros(3)}, "has tensors twice, with and without the prefix 'module.'"),
    (dict(bias=torch.full((3, ), torch.inf)), 'NaN, infinite values or integers are in 1 of the 2'),
    (dict(bias=torch.zeros(3, dtype=torch.int8)), 'NaN, infinite values or integers are in 1 of'),
])
def test_refuses_what_does_not_fit(change, message):
    state_dict = {name: tensor for name, tensor in
                  (torch.nn.Linear(2, 3).state_dict() | change).items() if tensor is not None}
    with pytest.raises(UserError, match=message):
        load_strictly(torch.nn.Linear(2, 3), dict(state_dict=state_dict))
