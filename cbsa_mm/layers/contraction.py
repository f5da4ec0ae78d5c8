"""Contractions of the representatives (arXiv 2509.16875v3, section 3.2)."""
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SoftmaxContraction(nn.Module):
    """softmax(R R^T / sqrt(p)) R, eq. 8."""

    def forward(self, r: Tensor) -> Tensor:
        """Maps representatives (B, h, m, p) to their contraction (B, h, m, p)."""
        return F.scaled_dot_product_attention(r, r, r)


class InverseContraction(nn.Module):
    """(I + p / (m eps^2) R R^T)^-1 R, eq. 7, which eq. 8 approximates.

    Args:
        eps: The distortion up to which tokens are coded.
    """

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, r: Tensor, energies: Tensor | None = None) -> Tensor:
        """Contracts by a Cholesky solve, in at least single precision.

        Args:
            r: Representatives (B, h, m, p).
            energies: Replaces R R^T, (B, h, m, m), in at least single precision.

        Returns:
            Their contraction (B, h, m, p).
        """
        m, p = r.shape[-2:]
        dtype = r.dtype
        with outside_autocast(r):
            r = at_least_float32(r)
            weight = p / (m * self.eps**2)
            if energies is not None or m <= p:
                energies = r @ r.mT if energies is None else energies
                c = _solve(weight * energies, r)
            else:  # (I + c R R^T)^-1 R = R (I + c R^T R)^-1: the smaller system
                c = _solve(weight * (r.mT @ r), r.mT).mT
        return c.to(dtype)


def build_contraction(choice: str, eps: float) -> nn.Module | None:
    """Builds a contraction by name.

    Args:
        choice: 'softmax', 'inverse' or 'none'.
        eps: Distortion of the inverse.

    Raises:
        ValueError: If the name is unknown.
    """
    choices = {
        'softmax': SoftmaxContraction,
        'inverse': lambda: InverseContraction(eps),
        'none': lambda: None,
    }
    if choice not in choices:
        raise ValueError(f'contraction must be one of {", ".join(choices)}, got {choice!r}')
    return choices[choice]()


def outside_autocast(x: Tensor) -> AbstractContextManager:
    """Disables autocast on the tensor's device; the meta device has none."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def at_least_float32(x: Tensor) -> Tensor:
    """Converts half precision to single precision; leaves other dtypes unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """(I + matrix)^-1 right for positive semi-definite matrices; NaN where they are not."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    factor, _ = torch.linalg.cholesky_ex(identity + matrix)
    return torch.cholesky_solve(right.expand(*matrix.shape[:-2], -1, -1), factor)
