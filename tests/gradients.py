"""Comparison of a function with its reference, gradients included."""
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.testing import assert_close


def assert_same(ours: Tensor, theirs: Tensor, inputs: Iterable[Tensor],
                rtol: float = 1e-10, atol: float = 1e-12) -> None:
    """Asserts equal outputs and, for a random upstream gradient, equal gradients of all inputs."""
    assert_close(ours, theirs, rtol=rtol, atol=atol)
    inputs, upstream = list(inputs), torch.randn_like(theirs)
    gradients = [torch.autograd.grad(y, inputs, upstream) for y in (ours, theirs)]
    assert_close(*gradients, rtol=rtol, atol=atol)
