"""The sparsification step of CRATE-alpha: overcomplete dictionary learning (ODL)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ODL(nn.Module):
    r"""Iterations of ISTA on an overcomplete dictionary D, and a map D1 from its codes back.

    With tokens x as columns and z = 0 at first, z <- ReLU(z - eta D^T (D z - x) - eta lambda) is
    iterated, and the result is D1 z (CRATE-alpha, arXiv 2405.20299).

    Args:
        embed_dims: Width d of the tokens.
        ratio: Atoms of the dictionary per dimension; D and D1 are (d, ratio * d).
        num_steps: Iterations; 2 in CRATE-alpha.
        decoupled: Whether D1 is learned apart from D; if not, it is D.
        skip: Whether the result is added to the tokens in a :class:`Block`.
        step_size: eta.
        sparsity: lambda, the weight of the l1 penalty.

    Raises:
        ValueError: If ``ratio`` or ``num_steps`` is not positive.
    """

    def __init__(self,
                 embed_dims: int,
                 ratio: int = 4,
                 num_steps: int = 2,
                 decoupled: bool = True,
                 skip: bool = True,
                 step_size: float = 0.1,
                 sparsity: float = 0.1) -> None:
        super().__init__()
        for name, size in (('ratio', ratio), ('num_steps', num_steps)):
            if size < 1:
                raise ValueError(f'{name} must be at least 1, got {size}')
        self.D = nn.Parameter(torch.empty(embed_dims, ratio * embed_dims))
        self.D1 = nn.Parameter(torch.empty_like(self.D)) if decoupled else None
        for dictionary in self.parameters():
            # As trained: in the released JAX code, the fan is d. In its port to PyTorch, made for
            # inference, it is ratio * d.
            nn.init.kaiming_uniform_(dictionary, mode='fan_out')
        self.num_steps = num_steps
        self.skip = skip
        self.step_size = step_size
        self.sparsity = sparsity

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens (..., d) to (..., d)."""
        D1 = self.D if self.D1 is None else self.D1
        return F.linear(self._scaled_codes(x), D1) * self.step_size

    def codes(self, x: Tensor) -> Tensor:
        """The sparse, non-negative codes z (..., ratio * d) of tokens (..., d)."""
        return self._scaled_codes(x) * self.step_size

    def _scaled_codes(self, x: Tensor) -> Tensor:
        # In u = z / eta the iteration is u <- ReLU(u + D^T (x - eta D u) - lambda): lambda is a
        # bias, and all else is added in place or in d dimensions. D^T D would cost more than D and
        # D^T. No convolutions as in linear(): oneDNN would have to copy D^T each time.
        D = self.D
        threshold = D.new_full(D.shape[1:], -self.sparsity)
        u = F.linear(x, D.T, threshold).relu_()
        for _ in range(self.num_steps - 1):
            residual = torch.sub(x, F.linear(u, D), alpha=self.step_size)
            u = F.linear(residual, D.T, threshold).add_(u).relu_()
        return u
