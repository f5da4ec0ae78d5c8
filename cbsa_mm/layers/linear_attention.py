"""Linear attention, the paper's baseline for adapted ViTs (arXiv 2509.16875v3, figure 9)."""
import torch.nn.functional as F
from torch import Tensor

from .mhsa import MHSA

EPS = 1e-6


class LinearAttention(MHSA):
    """Multi-head attention with feature maps instead of softmax, linear in the number of tokens.

    With phi(x) = ReLU(x) + 1e-6, it is phi(Q) (phi(K)^T V), each row divided by the sum of its
    weights. The feature map is that of the paper's released code, which omits the focusing and
    the convolution of FLatten Transformer's attention (arXiv 2308.00442). The parameters are
    those of :class:`MHSA`.

    Args:
        embed_dims: Width d of the tokens.
        num_heads: Heads h.
        head_dims: Width p of a head; ``embed_dims // num_heads`` if not given.
    """

    def attend(self, q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int] | None,
               grid_offset: int | None) -> Tensor:
        """Maps queries, keys and values (B, h, N, p) to (B, h, N, p)."""
        q, k = F.relu(q) + EPS, F.relu(k) + EPS
        scale = k.shape[2]**-0.5            # on both factors, so the sum does not overflow float16
        kv = (scale * k).mT @ (scale * v)                                 # (B, h, p, p)
        return q @ kv / (q @ k.mean(2, keepdim=True).mT + EPS)
