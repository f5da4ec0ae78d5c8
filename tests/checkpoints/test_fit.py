import pytest
import torch

from cbsa_mm.checkpoints import load_strictly
from cbsa_mm.errors import UserError


def test_loads_with_and_without_prefix():
    model, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    load_strictly(model, dict(state_dict={f'module.{k}': v for k, v in other.state_dict().items()}))
    assert torch.equal(model.weight, other.weight)
    load_strictly(model, other.state_dict())


def test_refuses_tensors_with_and_without_prefix():
    state_dict = torch.nn.Linear(2, 3).state_dict()
    with pytest.raises(UserError, match="has tensors twice, with and without the prefix 'module.'"):
        load_strictly(torch.nn.Linear(2, 3), state_dict | {'module.bias': torch.zeros(3)})


@pytest.mark.parametrize('bias', [torch.tensor([0, float('nan'), 1]), torch.full((3, ), torch.inf),
                                  torch.zeros(3, dtype=torch.int8)])
def test_refuses_what_are_no_weights(bias):
    state_dict = torch.nn.Linear(2, 3).state_dict() | dict(bias=bias)
    with pytest.raises(UserError, match='NaN, infinite values or integers are in 1 of the 2 '
                       r'tensors of the checkpoint, such as bias \(torch'):
        load_strictly(torch.nn.Linear(2, 3), state_dict)


@pytest.mark.parametrize('change, message', [
    (dict(weight=torch.zeros(3, 4)), 'size mismatch for weight'),
    (dict(extra=torch.zeros(1)), 'Unexpected key'),
    (dict(bias=None), 'Missing key'),
])
def test_refuses_what_does_not_fit(change, message):
    state_dict = {k: v for k, v in (torch.nn.Linear(2, 3).state_dict() | change).items()
                  if v is not None}
    with pytest.raises(UserError, match=f'does not fit the model.*{message}.*Use the config'):
        load_strictly(torch.nn.Linear(2, 3), dict(state_dict=state_dict))
