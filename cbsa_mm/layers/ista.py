"""The sparsification step of CRATE: one iteration of ISTA."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ISTA(nn.Module):
    r"""One step of the iterative shrinkage-thresholding algorithm on a learned dictionary D.

    With tokens y as columns, x = ReLU(y + eta (D^T y - D^T D y) - eta lambda), the step of CRATE
    (arXiv 2306.01129). It has no skip connection around it.

    Args:
        embed_dims: Width d of the tokens; D is (d, d).
        step_size: eta.
        sparsity: lambda, the weight of the l1 penalty.
    """

    def __init__(self, embed_dims: int, step_size: float = 0.1, sparsity: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(embed_dims, embed_dims))
        nn.init.kaiming_uniform_(self.weight)
        self.step_size = step_size
        self.sparsity = sparsity

    def forward(self, y: Tensor) -> Tensor:
        """Maps tokens (..., d) to sparse, non-negative tokens (..., d)."""
        D = self.weight
        # Tokens are rows here, so that D^T y - D^T D y is y D - y D^T D, in two equal forms: one
        # (d, d) matrix for all tokens, or, cheaper for fewer tokens than d, two thin products.
        if y.numel() // y.shape[-1] >= y.shape[-1]:
            gradient = y @ (D - D.T @ D)
        else:
            gradient = (y - y @ D.T) @ D
        return F.relu(y + self.step_size * gradient - self.step_size * self.sparsity)
