"""Measures of tokens and subspaces (arXiv 2509.16875v3, section 5)."""
import torch
import torch.nn.functional as F
from torch import Tensor


def coding_rate(z: Tensor, eps: float = 0.01, normalize: bool = False) -> Tensor:
    """The coding rate of tokens, summed over heads: 1/2 log det(I + p / (n eps) Z^T Z).

    It is lower if the tokens of a head span fewer directions and lie closer together.

    Args:
        z: Tokens (..., h, n, p).
        eps: The squared distortion up to which they are coded.
        normalize: Whether to scale each token to unit length first.

    Returns:
        Rates (..., ) in nats.
    """
    z = F.normalize(z, dim=-1) if normalize else z
    n, p = z.shape[-2:]
    z = z if z.dtype == torch.float64 else z.float()
    moments = z.mT @ z if p <= n else z @ z.mT  # same determinant
    identity = torch.eye(moments.shape[-1], dtype=z.dtype, device=z.device)
    return torch.logdet(identity + p / (n * eps) * moments).sum(-1) / 2


def sparsity(x: Tensor) -> Tensor:
    """The fraction of exact zeros in each sample's tokens (B, N, d): (B, )."""
    return (x == 0).float().mean(dim=(1, 2))


def attention_rank(A: Tensor) -> Tensor:
    """The numerical rank of coefficients A (..., m, n), with PyTorch's default tolerance: (...)."""
    return torch.linalg.matrix_rank(A if A.dtype == torch.float64 else A.float())


def subspace_overlap(weight: Tensor, num_heads: int) -> Tensor:
    """How much the subspaces of a projection overlap.

    Args:
        weight: The projection U^T (h*p, d).
        num_heads: Subspaces h.

    Returns:
        Mean squared cosines of the principal angles between the subspaces, (h, h): 0 for orthogonal
        ones, 1 on the diagonal.
    """
    bases = torch.linalg.qr(weight.detach().float().unflatten(0, (num_heads, -1)).mT).Q  # (h, d, p)
    products = torch.einsum('idp,jdq->ijpq', bases, bases)
    return products.square().sum(dim=(2, 3)) / bases.shape[-1]
