"""Cross-attention of DEPICT-CA, arXiv 2411.03033."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .heads import SubspaceAttention


class CrossMSSA(SubspaceAttention):
    """MSSA of queries towards tokens: softmax(Q W^T / sqrt(p)) W, both projected by the same U.

    Args:
        embed_dims: Width d of queries and tokens.
        num_heads: Number of subspaces h.
        head_dims: Width p of a subspace; ``embed_dims // num_heads`` if not given.
    """

    def __init__(self, embed_dims: int, num_heads: int, head_dims: int | None = None) -> None:
        super().__init__(embed_dims, num_heads, head_dims, tied=True)
        self.step_x = nn.Parameter(torch.randn(1))

    def forward(self, queries: Tensor, x: Tensor) -> Tensor:
        """Maps queries (B, K, d) to their update (B, K, d) by tokens (B, N, d)."""
        q, w = self.split_heads(self.in_proj(queries)), self.split_heads(self.in_proj(x))
        return self.step_x * self.merge_heads(F.scaled_dot_product_attention(q, w, w))
