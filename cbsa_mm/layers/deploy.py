"""Building blocks of the deploy form."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear


class Standardization(nn.Module):
    """LayerNorm without its affine, for models in deploy form.

    Args:
        norm: The LayerNorm to take width, eps, dtype and device from.
    """

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.eps = norm.eps
        # PyTorch's CPU kernel is vectorised only for LayerNorms with an affine.
        self.register_buffer('ones', torch.ones_like(norm.weight.data), persistent=False)
        self.register_buffer('zeros', torch.zeros_like(norm.bias.data), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., d) to (..., d) with mean 0 and variance 1."""
        return F.layer_norm(x, self.ones.shape, self.ones, self.zeros, self.eps)


def fold_affine(norm: nn.LayerNorm, proj: nn.Linear) -> Linear:
    """The linear layer that maps standardized tokens to ``proj``'s output after ``norm``."""
    weight, gain, shift = (t.detach().double() for t in (proj.weight, norm.weight, norm.bias))
    bias = weight @ shift
    if proj.bias is not None:
        bias += proj.bias.detach().double()
    folded = Linear(proj.in_features, proj.out_features).to(proj.weight)
    folded.weight.data.copy_(weight * gain)
    folded.bias.data.copy_(bias)
    return folded
