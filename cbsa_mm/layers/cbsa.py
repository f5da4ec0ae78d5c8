"""Contract-and-Broadcast Self-Attention (CBSA), arXiv 2509.16875v3."""
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear

if hasattr(torch.compiler, 'is_compiling'):
    from torch.compiler import is_compiling
else:  # PyTorch 2.1
    from torch._dynamo import is_compiling


class PooledRepresentatives(nn.Module):
    """The initial guess of the representatives: the token grid, average-pooled.

    Bins are adaptive: they overlap where the grid is no multiple of ``grid_size``.

    Args:
        grid_size: Representatives per side; there are ``m = grid_size ** 2``.
    """

    def __init__(self, grid_size: int) -> None:
        super().__init__()
        self.grid_size = grid_size

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Pools the projected tokens ``w`` (B, N, D) to representatives (B, m, D)."""
        g, (height, width), (batch, _, dims) = self.grid_size, grid, w.shape
        # torch.compile makes the matrices part of its graph.
        make = pooling_matrix if is_compiling() else _cached_pooling_matrix
        over_rows = make(height, g, w.dtype, w.device)                    # (g, H)
        over_columns = make(width, g, w.dtype, w.device)                  # (g, W)
        # Rows first, then columns, both as linear maps of the tokens where they lie in memory.
        r = w[:, grid_offset:grid_offset + height * width]
        r = r.reshape(batch, height, width * dims)                        # (B, H, W*D)
        r = torch.bmm(over_rows.expand(batch, -1, -1), r)                 # (B, g, W*D)
        r = r.view(batch * g, width, dims)                                # (B*g, W, D)
        r = torch.bmm(over_columns.expand(batch * g, -1, -1), r)          # (B*g, g, D)
        return r.view(batch, g * g, dims)


def pooling_matrix(length: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Adaptive average pooling of ``length`` values to ``size`` bins, as a matrix (size, length).

    Bin i spans the values from floor(i length / size) to ceil((i + 1) length / size), as in
    PyTorch's ``adaptive_avg_pool1d``.
    """
    bins = torch.arange(size, device=device)[:, None]
    values = torch.arange(length, device=device)
    first, end = bins * length // size, -(-(bins + 1) * length // size)
    inside = ((first <= values) & (values < end)).to(dtype)
    return inside / inside.sum(dim=1, keepdim=True)


@lru_cache(maxsize=256)
def _cached_pooling_matrix(*args) -> Tensor:
    with torch.inference_mode(False):  # it must serve training, too
        return pooling_matrix(*args)


def softmax_contraction(r: Tensor) -> Tensor:
    """Contracts the representatives ``r`` (B, h, m, p): softmax(R R^T / sqrt(p)) R, eq. 8."""
    return F.scaled_dot_product_attention(r, r, r)


class CBSA(nn.Module):
    """Contract-and-Broadcast Self-Attention.

    A few representatives of the tokens are extracted, contracted among themselves, and their
    contraction is broadcast back to all tokens. The cost is linear in the number of tokens.

    Args:
        embed_dims: Width d of the tokens.
        num_heads: Number of subspaces h.
        head_dims: Width p of a subspace; ``embed_dims // num_heads`` if not given.
        grid_size: Representatives per side of the pooled grid; m = grid_size ** 2.

    Raises:
        ValueError: If a size is not positive, or ``head_dims`` is left out and ``num_heads`` does
            not divide ``embed_dims``.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 head_dims: int | None = None,
                 grid_size: int = 8) -> None:
        super().__init__()
        for name, size in (('embed_dims', embed_dims), ('num_heads', num_heads),
                           ('head_dims', head_dims), ('grid_size', grid_size)):
            if size is not None and size < 1:
                raise ValueError(f'{name} must be at least 1, got {size}')
        if head_dims is None:
            if embed_dims % num_heads:
                raise ValueError(f'num_heads={num_heads} does not divide embed_dims={embed_dims}; '
                                 'choose another number of heads or give head_dims')
            head_dims = embed_dims // num_heads
        self.num_heads = num_heads
        self.scale = head_dims**-0.5
        self.in_proj = Linear(embed_dims, num_heads * head_dims, bias=False)  # U^T
        self.out_proj = Linear(num_heads * head_dims, embed_dims)
        self.step_rep = nn.Parameter(torch.randn(num_heads, 1, 1))
        self.step_x = nn.Parameter(torch.randn(num_heads, 1, 1))
        self.representatives = PooledRepresentatives(grid_size)

    def forward(self, x: Tensor, grid: tuple[int, int], grid_offset: int = 0) -> Tensor:
        """Attends within each subspace.

        Args:
            x: Tokens (B, N, d), among them the H * W tokens of an image grid, row by row.
            grid: Height and width (H, W) of that grid.
            grid_offset: Index of the grid's first token. Behind one class token the grid starts
                at 1; the released classifiers were trained with 0.

        Returns:
            The update of the tokens, (B, N, d).

        Raises:
            ValueError: If the grid does not fit into the N tokens.
        """
        if not 0 <= grid_offset <= x.shape[1] - grid[0] * grid[1]:
            raise ValueError(f'a grid of {grid[0]} x {grid[1]} tokens at grid_offset={grid_offset} '
                             f'does not fit into {x.shape[1]} tokens')
        w = self.in_proj(x)                                           # (B, N, h*p)
        r = self.representatives(w, grid, grid_offset)                # (B, m, h*p)
        w, r = self._split_heads(w), self._split_heads(r)             # (B, h, N, p), (B, h, m, p)
        A = (self.scale * r @ w.mT).softmax(-1, dtype=w.dtype)        # (B, h, m, N)
        r = r + self.step_rep * (A @ w)                               # extraction, eq. 5
        c = softmax_contraction(r)                                    # contraction, eq. 8
        return self._broadcast(A, self.step_x * c)                    # broadcast, eqs. 6 and 8

    def _split_heads(self, x: Tensor) -> Tensor:
        """Lays out head after head, (B, n, h*p) to (B, h, n, p), once for all products."""
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2).contiguous()

    def _broadcast(self, A: Tensor, c: Tensor) -> Tensor:
        """Broadcasts and maps back to width d: A (B, h, m, N) and C (B, h, m, p) to (B, N, d)."""
        (_, heads, m, p), n, d = c.shape, A.shape[-1], len(self.out_proj.weight)
        # With W_k, the rows of the output projection that belong to head k, this is
        # sum_k (A_k^T C_k) W_k = sum_k A_k^T (C_k W_k). The second order is taken where it saves a
        # tenth of the operations, as its large product differs between images: no linear layer.
        if 0.9 * n * (m * p + p * d) <= n * m * d + m * p * d:
            y = A.mT @ c                                              # (B, h, N, p)
            return self.out_proj(y.transpose(1, 2).flatten(2))
        c = torch.einsum('bhmp,dhp->bhmd', c, self.out_proj.weight.unflatten(1, (heads, p)))
        return torch.baddbmm(self.out_proj.bias, A.flatten(1, 2).mT, c.flatten(1, 2))
