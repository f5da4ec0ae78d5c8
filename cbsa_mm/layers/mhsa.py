"""Multi-head softmax attention, and CBSA with the three projections of a pretrained one."""
import torch.nn.functional as F
from torch import Tensor

from .cbsa import agent_attention
from .contraction import SoftmaxContraction
from .heads import SubspaceAttention
from .representatives import PooledRepresentatives, check_grid


class MHSA(SubspaceAttention):
    """Multi-head self-attention as in ViT: softmax(Q K^T / sqrt(p)) V.

    Args:
        embed_dims: Width d of the tokens.
        num_heads: Heads h.
        head_dims: Width p of a head; ``embed_dims // num_heads`` if not given.
    """

    def __init__(self, embed_dims: int, num_heads: int, head_dims: int | None = None) -> None:
        super().__init__(embed_dims, num_heads, head_dims, num_projections=3, bias=True)

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None,
                grid_offset: int | None = None) -> Tensor:
        """Maps tokens (B, N, d) to their update (B, N, d); the grid is not used."""
        q, k, v = self.split_heads(self.in_proj(x)).chunk(3, dim=1)       # (B, h, N, p)
        return self.merge_heads(self.attend(q, k, v, grid, grid_offset))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int] | None,
               grid_offset: int | None) -> Tensor:
        """Maps queries, keys and values (B, h, N, p) to (B, h, N, p)."""
        return F.scaled_dot_product_attention(q, k, v)


class AdaptedMHSA(MHSA):
    """CBSA with the three projections of a pretrained MHSA (arXiv 2509.16875v3, figure 9).

    Args:
        embed_dims: Width d of the tokens.
        num_heads: Heads h.
        head_dims: Width p of a head; ``embed_dims // num_heads`` if not given.
        grid_size: Representatives per side, pooled from the queries.
        contraction: Whether the representatives are contracted. If not, as in the released code,
            they attend to the tokens, and the tokens to them.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 head_dims: int | None = None,
                 grid_size: int = 8,
                 contraction: bool = False) -> None:
        super().__init__(embed_dims, num_heads, head_dims)
        self.representatives = PooledRepresentatives(grid_size)
        self.contraction = SoftmaxContraction() if contraction else None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int] | None,
               grid_offset: int | None) -> Tensor:
        """Maps queries, keys and values (B, h, N, p) to (B, h, N, p)."""
        grid_offset = check_grid(q.shape[2], grid, grid_offset)
        if self.contraction is None:
            return agent_attention(q, k, v, self.representatives(q, grid, grid_offset))
        A, r = self.extract(q, k, v, grid, grid_offset)
        return A.mT @ self.contraction(r)

    def extract(self, q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int],
                grid_offset: int) -> tuple[Tensor, Tensor]:
        """Extracts representatives of the queries, as :meth:`CBSA.extract` does of tokens."""
        r = self.representatives(q, grid, grid_offset)                    # (B, h, m, p)
        A = self.representatives.coefficients(r, k)                       # (B, h, m, N)
        return A, r + A @ v
