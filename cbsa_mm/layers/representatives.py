"""Representatives of the tokens, of which an attention takes one kind (arXiv 2509.16875v3, 3.3).

Each kind is called as ``representatives(w, grid, grid_offset)`` with projected tokens (B, h, N, p)
and gives representatives (B, h, m, p).
"""
from functools import lru_cache

import torch
from torch import Tensor, nn

from cbsa_mm.compat import is_compiling, is_exporting

from .contraction import at_least_float32, outside_autocast


class PooledRepresentatives(nn.Module):
    """The token grid, average-pooled.

    Bins are adaptive: they overlap where the grid is no multiple of ``grid_size``.

    Args:
        grid_size: Representatives per side; there are ``m = grid_size ** 2``.
    """

    def __init__(self, grid_size: int) -> None:
        super().__init__()
        self.grid_size = grid_size

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Pools the tokens (B, h, N, p) of the grid to (B, h, m, p)."""
        g, (height, width), (batch, heads, _, p) = self.grid_size, grid, w.shape
        # What records the call makes the matrices part of its graph.
        make = pooling_matrix if is_compiling() or is_exporting() else _cached_pooling_matrix
        over_rows = make(height, g, w.dtype, w.device)                    # (g, H)
        over_columns = make(width, g, w.dtype, w.device)                  # (g, W)
        # Rows first, then columns, both as linear maps of the tokens where they lie in memory.
        n = batch * heads
        r = w[:, :, grid_offset:grid_offset + height * width]
        r = r.reshape(n, height, width * p)
        r = torch.bmm(over_rows.expand(n, -1, -1), r)                     # (B*h, g, W*p)
        r = torch.bmm(over_columns.expand(n * g, -1, -1), r.view(n * g, width, p))
        return r.view(batch, heads, g * g, p)


class LearnableRepresentatives(nn.Module):
    """The same for every image, as parameters (paper, appendix A).

    Args:
        num_heads: Subspaces h.
        num_representatives: m.
        head_dims: Width p of a subspace.
    """

    def __init__(self, num_heads: int, num_representatives: int, head_dims: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_heads, num_representatives, head_dims))

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Repeats the parameters for each image, (B, h, m, p)."""
        return self.weight.to(w.dtype).expand(w.shape[0], -1, -1, -1)


class AllTokens(nn.Module):
    """Every token represents itself."""

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Returns the tokens."""
        return w


class PrincipalDirections(nn.Module):
    """The tokens' right singular vectors in each head, by which eq. 12 is written."""

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Finds the p orthonormal directions (B, h, p, p), the weakest first.

        They are constants to autograd: with the exact inverse as contraction, the result depends on
        the space that they span and not on them, and so does its gradient.
        """
        with outside_autocast(w):
            w = at_least_float32(w.detach())
            moments = (w.mT @ w).nan_to_num()  # that diverging tokens may reach the loss
            return torch.linalg.eigh(moments).eigenvectors.mT

    def energies(self, A: Tensor) -> Tensor:
        """Second moments (B, h, p, p) of the tokens' coefficients A (B, h, p, N)."""
        return A @ A.mT


class OrthogonalRepresentatives(PrincipalDirections):
    """Orthogonal representatives of any lengths (paper, appendix B).

    They are the principal directions under a rotation and a scaling. The rotation cancels out of
    the result, so that the scaling is what there is to learn: lambda_i for the i-th direction turns
    eq. 12's function of the spectrum into f(l) = lambda_i^2 eps^2 / (eps^2 + lambda_i^2 l).

    Args:
        num_heads: Subspaces h.
        head_dims: Width p of a subspace.
    """

    def __init__(self, num_heads: int, head_dims: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_heads, head_dims, 1))

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Scales the principal directions of the tokens (B, h, N, p), the weakest first.

        The directions are constants to autograd, here too. Where the scales differ, the result
        depends on them, and the tokens' gradient leaves out how they turn, of which the derivative
        has no bound where singular values meet.
        """
        return self.scale * super().forward(w, grid, grid_offset)         # (B, h, p, p)


class FixedAxes(nn.Module):
    """The axes of each subspace, on which tokens are taken apart by channels, eq. 13."""

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Returns the unit vectors, (1, 1, p, p)."""
        return torch.eye(w.shape[-1], device=w.device).to(w.dtype)[None, None]

    def energies(self, A: Tensor) -> Tensor:
        """Second moments of the coefficients A (B, h, p, N), as if these were uncorrelated."""
        return A.square().sum(-1).diag_embed()


def check_grid(num_tokens: int, grid: tuple[int, int], grid_offset: int) -> None:
    """Checks that a grid (H, W) of tokens lies within all of them.

    Raises:
        ValueError: If it does not.
    """
    if not 0 <= grid_offset <= num_tokens - grid[0] * grid[1]:
        raise ValueError(f'a grid of {grid[0]} x {grid[1]} tokens at grid_offset={grid_offset} '
                         f'does not fit into {num_tokens} tokens')


def pooling_matrix(length: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Adaptive average pooling of ``length`` values to ``size`` bins, as a matrix (size, length).

    Bin i spans the values from floor(i length / size) to ceil((i + 1) length / size), as in
    PyTorch's ``adaptive_avg_pool1d``.
    """
    bins = torch.arange(size, device=device)[:, None]
    values = torch.arange(length, device=device)
    first, end = bins * length // size, ((bins + 1) * length + size - 1) // size
    inside = ((first <= values) & (values < end)).to(dtype)
    return inside / inside.sum(dim=1, keepdim=True)


@lru_cache(maxsize=256)
def _cached_pooling_matrix(*args) -> Tensor:
    with torch.inference_mode(False):  # it must serve training, too
        return pooling_matrix(*args)
