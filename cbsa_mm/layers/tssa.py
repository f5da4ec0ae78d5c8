"""Token-statistics self-attention of ToST, arXiv 2412.17810."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .heads import SubspaceAttention


class TSSA(SubspaceAttention):
    """Scales each channel of a subspace by its second moment over the tokens that belong to it.

    Essentially CBSA on fixed axes (arXiv 2509.16875v3, eq. 13), with soft membership of tokens in
    subspaces: as in the released code, the softmax is over the heads.

    Args:
        embed_dims: Width d of the tokens.
        num_heads: Number of subspaces h.
        head_dims: Width p of a subspace; ``embed_dims // num_heads`` if not given.
    """

    def __init__(self, embed_dims: int, num_heads: int, head_dims: int | None = None) -> None:
        super().__init__(embed_dims, num_heads, head_dims)
        self.temperature = nn.Parameter(torch.ones(num_heads, 1))

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None,
                grid_offset: int | None = None) -> Tensor:
        """Maps tokens (B, N, d) to their update (B, N, d); the grid is not used."""
        w = self.split_heads(self.in_proj(x))                             # (B, h, N, p)
        energy = F.normalize(w, dim=-2).square().sum(-1)                  # (B, h, N)
        membership = (energy * self.temperature).softmax(dim=1)
        weights = membership / (membership.sum(-1, keepdim=True) + 1e-8)
        moments = weights.unsqueeze(-2) @ w.square()                      # (B, h, 1, p)
        return self.merge_heads(-w * membership.unsqueeze(-1) / (1 + moments))
