"""Kinds of representatives of the tokens (arXiv 2509.16875v3, section 3.3)."""
import warnings
from functools import lru_cache

import torch
from torch import Tensor, nn

from cbsa_mm.compat import is_compiling, is_exporting

from .contraction import at_least_float32, outside_autocast

# Why a kind of representatives is incompatible with a contraction.
REFUSALS = {
    ('tokens', 'none'): 'all tokens without contraction are the tokens themselves',
    ('principal', 'none'): 'principal directions without contraction return the tokens',
    ('principal', 'softmax'): 'softmax depends on the signs of principal directions, which are '
                              'arbitrary',
    ('orthogonal', 'none'): 'orthogonal representatives without contraction only scale the tokens',
    ('orthogonal', 'softmax'): 'softmax depends on the signs of the scaled principal directions, '
                               'which are arbitrary',
    ('fixed', 'none'): 'fixed axes without contraction return the tokens',
    ('fixed', 'softmax'): 'softmax among fixed axes is the same for all images',
}


class Representatives(nn.Module):
    """Base class of representatives.

    Called as ``representatives(w, grid, grid_offset)``, it maps projected tokens (B, h, N, p) to
    representatives (B, h, m, p).
    """

    def coefficients(self, r: Tensor, k: Tensor) -> Tensor | None:
        """Coefficients of representatives R (B, h, m, p) over the tokens K (B, h, N, p).

        Returns:
            A (B, h, m, N); None for the identity.
        """
        return coefficients(r, k)


class PooledRepresentatives(Representatives):
    """The token grid, average-pooled.

    Bins are adaptive: they overlap if the grid is not a multiple of ``grid_size``.

    Args:
        grid_size: Representatives per side; there are ``m = grid_size ** 2``.
    """

    def __init__(self, grid_size: int) -> None:
        super().__init__()
        self.grid_size = grid_size

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Pools the tokens (B, h, N, p) of the grid to (B, h, m, p)."""
        g, (height, width), (batch, heads, _, p) = self.grid_size, grid, w.shape
        # When compiling or exporting, the matrices must be part of the graph.
        recorded = is_compiling() or is_exporting()
        if not recorded and g > min(grid):
            warnings.warn(f'grid_size={g} exceeds the {height} x {width} grid of tokens, so some '
                          'representatives are equal: set grid_size in attn_cfg to at most '
                          f'{min(grid)}', stacklevel=2)
        make = pooling_matrix if recorded else _cached_pooling_matrix
        over_rows = make(height, g, w.dtype, w.device)                    # (g, H)
        over_columns = make(width, g, w.dtype, w.device)                  # (g, W)
        # Rows first, then columns, both as linear maps without copying the tokens.
        n = batch * heads
        r = w[:, :, grid_offset:grid_offset + height * width]
        r = r.reshape(n, height, width * p)
        r = torch.bmm(over_rows.expand(n, -1, -1), r)                     # (B*h, g, W*p)
        r = torch.bmm(over_columns.expand(n * g, -1, -1), r.view(n * g, width, p))
        return r.view(batch, heads, g * g, p)


class LearnableRepresentatives(Representatives):
    """Parameters shared by all images (paper, appendix A).

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


class AllTokens(Representatives):
    """Every token represents itself."""

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Returns the tokens."""
        return w

    def coefficients(self, r: Tensor, k: Tensor) -> None:
        """The identity."""


class Basis(Representatives):
    """An orthonormal basis of each subspace, in which the tokens are W = A^T R exactly."""

    def coefficients(self, r: Tensor, k: Tensor) -> Tensor:
        """R K^T (B, h, p, N)."""
        return r @ k.mT

    def energies(self, A: Tensor) -> Tensor:
        """A A^T (B, h, p, p), which replaces R R^T in a contraction; at least float32."""
        with outside_autocast(A):
            A = at_least_float32(A)
            return A @ A.mT


class PrincipalDirections(Basis):
    """The tokens' right singular vectors in each head, as in eq. 12."""

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Finds the p orthonormal directions (B, h, p, p), weakest first.

        They are constants to autograd: with the exact inverse as contraction, the result and its
        gradient depend only on the space that they span.
        """
        dtype = w.dtype
        with outside_autocast(w):
            w = at_least_float32(w.detach())
            moments = (w.mT @ w).nan_to_num()  # so that diverging tokens reach the loss
            return torch.linalg.eigh(moments).eigenvectors.mT.to(dtype)


class OrthogonalRepresentatives(PrincipalDirections):
    """Orthogonal representatives of any length (paper, appendix B).

    They are the principal directions, rotated and scaled. The rotation cancels out of
    the result, so only the scaling is learned: lambda_i for the i-th direction turns
    eq. 12's function of the spectrum into f(l) = lambda_i^2 eps^2 / (eps^2 + lambda_i^2 l).

    Args:
        num_heads: Subspaces h.
        head_dims: Width p of a subspace.
    """

    def __init__(self, num_heads: int, head_dims: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_heads, head_dims, 1))

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Scales the principal directions of the tokens (B, h, N, p), weakest first.

        The directions are constants to autograd here too. If the scales differ, the result
        depends on them, and the gradient neglects their rotation, whose derivative is unbounded
        where singular values coincide.
        """
        return self.scale.to(w.dtype) * super().forward(w, grid, grid_offset)


class FixedAxes(Basis):
    """The axes of each subspace, which split tokens by channels, eq. 13."""

    def forward(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Returns the unit vectors (B, h, p, p)."""
        axes = torch.eye(w.shape[-1], device=w.device).to(w.dtype)
        return axes.expand(*w.shape[:2], -1, -1)

    def energies(self, A: Tensor) -> Tensor:
        """A A^T as if the channels were uncorrelated."""
        return at_least_float32(A).square().sum(-1).diag_embed()


def build_representatives(choice: str, contraction: str, num_heads: int, head_dims: int,
                          grid_size: int) -> Representatives:
    """Builds representatives by name.

    Args:
        choice: 'pooled', 'learnable', 'tokens', 'principal', 'orthogonal' or 'fixed'.
        contraction: Name of their contraction.
        num_heads: Subspaces h.
        head_dims: Width p of a subspace.
        grid_size: Pooled representatives per side, m = grid_size ** 2; also the number of
            learnable ones.

    Raises:
        ValueError: If the name is unknown or incompatible with the contraction.
    """
    choices = {
        'pooled': lambda: PooledRepresentatives(grid_size),
        'learnable': lambda: LearnableRepresentatives(num_heads, grid_size**2, head_dims),
        'tokens': AllTokens,
        'principal': PrincipalDirections,
        'orthogonal': lambda: OrthogonalRepresentatives(num_heads, head_dims),
        'fixed': FixedAxes,
    }
    if choice not in choices:
        raise ValueError(f'representatives must be one of {", ".join(choices)}, got {choice!r}')
    if reason := REFUSALS.get((choice, contraction)):
        raise ValueError(f'representatives={choice!r} is incompatible with '
                         f'contraction={contraction!r}: {reason}')
    return choices[choice]()


def coefficients(r: Tensor, k: Tensor) -> Tensor:
    """softmax(R K^T / sqrt(p)) of representatives (B, h, m, p) over the tokens (B, h, N, p).

    Returns:
        A (B, h, m, N), in the dtype of ``k``, also under autocast.
    """
    return (k.shape[-1]**-0.5 * r @ k.mT).softmax(-1, dtype=k.dtype)


def check_grid(num_tokens: int, grid: tuple[int, int] | None, grid_offset: int | None,
               needed: bool = True) -> int:
    """Checks that a grid (H, W) fits into the tokens.

    Args:
        num_tokens: N.
        grid: The grid; None if it is not known.
        grid_offset: Index of its first token; None for 0, with a warning if one token is left,
            which then is a class token before the grid in most models.
        needed: Whether tokens are pooled or convolved.

    Returns:
        Index of the grid's first token.

    Raises:
        ValueError: If the grid does not fit, or is needed and not known.
    """
    offset = grid_offset or 0
    if grid is None:
        if needed:
            raise ValueError('pooling and convolution need the grid (H, W) of the tokens')
        return offset
    rest = num_tokens - grid[0] * grid[1]
    if not 0 <= offset <= rest:
        raise ValueError(f'a grid of {grid[0]} x {grid[1]} tokens at grid_offset={offset} '
                         f'does not fit into {num_tokens} tokens')
    if needed and grid_offset is None and rest == 1 and not is_compiling():
        warnings.warn('the grid starts at the first token, so if this is a class token, it is '
                      'pooled and the last patch is not: give grid_offset=1 to pool the patches, '
                      'or 0 for the way of the released classifiers', stacklevel=3)
    return offset


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
    with torch.inference_mode(False):  # training must be able to use it too
        return pooling_matrix(*args)
