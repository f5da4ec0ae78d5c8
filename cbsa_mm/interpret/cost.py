"""The cost of a model, counted while it runs."""
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cbsa_mm.compat import plain_attention

from .trace import Trace


def count_flops(run: Callable, *args) -> int:
    """Counts the FLOPs of a call: 2 per multiply-add of matrix products and convolutions.

    Normalisations, activations, sums and matrix factorisations are not counted. The count does not
    depend on the device: fused attention, whose operators differ between devices and are partly
    unknown to PyTorch's counter, is split into its products. On the meta device, nothing is
    computed.

    Args:
        run: A model, or another function of tensors.
        args: Its arguments.
    """
    # Without gradients, PyTorch's counter fails for modules that return views of parameters.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter, plain_attention():
        run(*args)
    return counter.get_total_flops()


def count_parameters(model: nn.Module) -> int:
    """Counts the weights of a model, also those that a frozen encoder of timm has as buffers."""
    return sum(p.numel() for p in model.parameters()) + sum(
        getattr(module, 'num_frozen', 0) for module in model.modules())


def count_similarities(inside: Trace) -> int:
    """Counts the pairwise similarities that one head of an attention computes for one image.

    These are the entries of similarity matrices (arXiv 2509.16875v3, table 4,
    equal for MSSA and TSSA): N^2 among all tokens (MHSA, MSSA); N m between tokens and
    m representatives, twice if tokens attend to these with a separate softmax (Agent
    attention); m^2 among contracted representatives (CBSA). Orthogonal representatives, p
    directions or axes, are compared only with the tokens: N p (eqs. 12 and 13, TSSA).

    Args:
        inside: The attention for an input, from :func:`trace`.
    """
    n, p = inside.tokens.shape[2:]
    if inside.coefficients is None:
        return n * (p if inside.keys is None else inside.keys.shape[2])
    m = inside.coefficients.shape[2]
    return n * m + (m * m if inside.keys is None else n * m)
