"""The sparsification step of CRATE: one iteration of ISTA."""
import torch
from torch import Tensor, nn

from .linear import linear


class ISTA(nn.Module):
    r"""One step of the iterative shrinkage-thresholding algorithm on a learned dictionary D.

    With tokens y as columns, x = ReLU(y + eta (D^T y - D^T D y) - eta lambda), the step of CRATE
    (arXiv 2306.01129). It has no skip connection.

    Args:
        embed_dims: Width d of the tokens; D is (d, d).
        step_size: eta.
        sparsity: lambda, the weight of the l1 penalty.
    """

    skip = False

    def __init__(self, embed_dims: int, step_size: float = 0.1, sparsity: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(embed_dims, embed_dims))
        nn.init.kaiming_uniform_(self.weight)
        self.register_parameter('matrix', None)  # replaces D in deploy form
        self.step_size = step_size
        self.sparsity = sparsity

    def forward(self, y: Tensor) -> Tensor:
        """Maps tokens (..., d) to sparse, non-negative tokens (..., d)."""
        # The gradient step eta (D^T y - D^T D y) has two equivalent forms: one (d, d) matrix for
        # all tokens, or, cheaper for fewer than d tokens, two thin products. The identity is not
        # part of the matrix: adding it to small values would lose precision in half precision.
        if self.matrix is not None:
            gradient = linear(y, self.matrix)
        elif y.numel() // y.shape[-1] >= y.shape[-1]:
            gradient = linear(y, self.gradient_matrix())
        else:
            D = self.weight
            gradient = self.step_size * linear(y - linear(y, D), D.T)
        return (y + gradient).sub_(self.step_size * self.sparsity).relu_()

    def gradient_matrix(self) -> Tensor:
        """The gradient step as one matrix (d, d): eta (D^T - D^T D)."""
        D = self.weight
        return self.step_size * (D.T - D.T @ D)

    def switch_to_deploy(self) -> None:
        """Replaces D by the matrix of the gradient step."""
        if self.matrix is None:
            self.matrix = nn.Parameter(self.gradient_matrix().detach())
            del self.weight
