"""What a model costs, counted while it runs."""
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from cbsa_mm.compat import plain_attention

from .trace import Trace


def count_flops(run: Callable, *args) -> int:
    """FLOPs of a call: 2 per multiply-add of matrix products and convolutions.

    Normalisations, activations, sums and matrix factorisations count nothing. The count is the same
    on all devices: fused attention, which has an operator of its own on each, some of them unknown
    to PyTorch's counter, is taken apart into its products. On the meta device, nothing is computed.

    Args:
        run: A model, or another function of tensors.
        args: Its arguments.
    """
    # With gradients: without, PyTorch's counter fails at modules that return views of parameters.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter, plain_attention():
        run(*args)
    return counter.get_total_flops()


def count_similarities(inside: Trace) -> int:
    """Pairwise similarities that one head of an attention computes for one image.

    They are the entries of its similarity matrices: N^2 among all tokens (MHSA, MSSA), N m between
    tokens and representatives each time that one side attends to the other (once in CBSA, twice in
    Agent attention), m^2 among representatives that are contracted. Where tokens are rather scaled
    than compared (TSSA), there are none.

    Args:
        inside: The attention for an input, by :func:`trace`.
    """
    total = 0
    if inside.coefficients is not None:
        total += inside.coefficients.shape[2:].numel()
    if inside.queries is not None:
        total += inside.queries.shape[2] * inside.keys.shape[2]
    elif inside.contracted is not None:
        total += inside.representatives.shape[2]**2
    return total
