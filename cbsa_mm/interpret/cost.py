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

    They are the entries of the matrices by which vectors are compared (arXiv 2509.16875v3, table 4,
    in the same way for MSSA and TSSA): N^2 among all tokens (MHSA, MSSA); N m between tokens and
    m representatives, twice where tokens attend to these by a softmax of their own (Agent
    attention); m^2 among representatives that are contracted (CBSA). Orthogonal representatives, p
    directions or axes, are compared with the tokens alone: N p (eqs. 12 and 13, TSSA).

    Args:
        inside: The attention for an input, by :func:`trace`.
    """
    n, p = inside.tokens.shape[2:]
    if inside.coefficients is None:
        return n * (p if inside.keys is None else inside.keys.shape[2])
    m = inside.coefficients.shape[2]
    return n * m + (m * m if inside.keys is None else n * m)
