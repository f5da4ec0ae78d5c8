"""Linear maps of tokens with the fastest available kernel."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cbsa_mm.compat import is_exporting


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``, faster for float32 tokens (B, N, d) on a CPU.

    There PyTorch uses the BLAS for matrix products but oneDNN for convolutions, whose kernels are
    faster on some processors and slower on none tested. A 1x1 convolution is the same map.

    Args:
        x: (..., d).
        weight: (D, d).
        bias: (D, ).

    Returns:
        (..., D).
    """
    if x.ndim != 3 or x.device.type != 'cpu' or x.dtype != torch.float32 or is_exporting():
        return F.linear(x, weight, bias)
    image = x.mT.unsqueeze(2)                                         # (B, d, 1, N), channels last
    return F.conv2d(image, weight[:, :, None, None], bias).squeeze(2).mT


class Linear(nn.Linear):
    """``torch.nn.Linear`` with :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., in_features) to (..., out_features)."""
        return linear(x, self.weight, self.bias)
