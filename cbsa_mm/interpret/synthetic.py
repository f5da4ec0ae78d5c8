"""Compression of points around lines (arXiv 2509.16875v3, figure 4)."""
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from cbsa_mm.layers import CBSA


def noisy_lines(num_lines: int, num_points: int, noise: float,
                generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Draws points on lines through the origin of R^3, with Gaussian noise.

    Args:
        num_lines: Lines, i.e. one-dimensional subspaces, far apart but not orthogonal.
        num_points: Points n on each, at distances from 0.3 to 1 on both sides of the origin.
        noise: Standard deviation of the noise.
        generator: Random generator.

    Returns:
        Points (lines, n, 3), along each line, and the lines' unit vectors (lines, 3).
    """
    draws = F.normalize(torch.randn(1000, num_lines, 3, generator=generator), dim=-1)
    overlaps = (draws @ draws.mT).abs() - torch.eye(num_lines)
    directions = draws[overlaps.amax((1, 2)).argmin()]
    places = torch.linspace(-0.7, 0.7, num_points)
    places = places + 0.3 * places.sign()
    points = places[:, None] * directions[:, None]
    return points + noise * torch.randn(points.shape, generator=generator), directions


def contract_linearly(points: Tensor, noise: float, step: float = 0.3) -> Iterator[Tensor]:
    """Compresses points iteratively by eq. 12: Z <- Z - step f(Z Z^T) Z.

    f(l) = eps^2 / (eps^2 + l) keeps strong principal directions and removes weak ones, for
    eps^2 between the energies of the noise and of the line.

    Args:
        points: (B, n, 3); each of the B sets is compressed separately.
        noise: Standard deviation of the noise.
        step: Step size.

    Yields:
        The points (B, n, 3) after each iteration, scaled to the initial root mean square length.
    """
    attn = CBSA(3, 1, representatives='principal', contraction='inverse', output='tied',
                eps=(points.shape[1] * noise)**0.5)
    return _iterate(points, attn, -step, lambda z: z)


def contract_and_broadcast(points: Tensor, step: float = 0.01, length: float = 8.,
                           grid_size: int = 8) -> Iterator[Tensor]:
    """Compresses points iteratively by CBSA, eqs. 5, 6 and 8: Z <- Z + step CBSA(norm(Z)).

    There is one head, whose subspace is all of R^3, without knowledge of the lines. ``norm`` scales
    all points to the same length, instead of a LayerNorm, which would leave two dimensions.

    Args:
        points: (B, n, 3), with similar points adjacent, as in an image.
        step: Step size, relative to an average of the representatives.
        length: Length of the attention's input points, the inverse temperature of its softmax.
        grid_size: Representatives are ``grid_size ** 2`` averages of adjacent points.

    Yields:
        The points (B, n, 3) after each iteration, scaled to the initial root mean square length.
    """
    attn = CBSA(3, 1, grid_size=grid_size, output='tied')
    torch.nn.init.ones_(attn.step_rep)
    # Coefficients sum to one over the points; scaled, also over the representatives, on average.
    step = step * points.shape[1] / grid_size**2
    return _iterate(points, attn, step, lambda z: length * F.normalize(z, dim=-1), grid_size)


@torch.no_grad()
def _iterate(z: Tensor, attn: CBSA, step: float, norm: Callable,
             rows: int = 1) -> Iterator[Tensor]:
    torch.nn.init.eye_(attn.in_proj.weight)
    torch.nn.init.constant_(attn.step_x, step)
    grid = rows, z.shape[1] // rows  # similar points share a row, and so a representative
    size = z.square().mean().sqrt()
    while True:
        z = z + attn(norm(z), grid)
        yield z * size / z.square().mean().sqrt()


def energy_off_lines(points: Tensor, directions: Tensor) -> Tensor:
    """The fraction of the points' energy off the lines that they were drawn from.

    Args:
        points: (lines, n, 3).
        directions: The lines' unit vectors (lines, 3).

    Returns:
        A scalar from 0 (all points lie on their lines) to 1.
    """
    along = torch.einsum('knd,kd->kn', points, directions)
    return 1 - along.square().sum() / points.square().sum()
