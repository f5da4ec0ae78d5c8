"""The sparsification step of CRATE-alpha: overcomplete dictionary learning (ODL)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Linear, linear


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
        self.in_proj = None  # D^T x - lambda in deploy form
        self.num_steps = num_steps
        self.skip = skip
        self.step_size = step_size
        self.sparsity = sparsity

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens (..., d) to (..., d)."""
        return linear(self.codes(x), self.D if self.D1 is None else self.D1)

    def codes(self, x: Tensor) -> Tensor:
        """The sparse, non-negative codes z (..., ratio * d) of tokens (..., d)."""
        # In u = z / eta the iteration is u <- ReLU(u + a - eta D^T D u) with a = D^T x - lambda:
        # x enters by one product, whose bias is lambda. D^T D itself would cost more than D, D^T.
        D = self.D
        if self.in_proj is not None:
            a = self.in_proj(x)
        else:
            a = linear(x, D.T, D.new_full(D.shape[1:], -self.sparsity))
        u = F.relu(a)
        for _ in range(self.num_steps - 1):
            u = (u + a).sub_(linear(linear(u, D), D.T), alpha=self.step_size).relu_()
        return u * self.step_size

    def switch_to_deploy(self) -> None:
        """Makes D^T x - lambda a linear layer, into which a LayerNorm's affine can be folded."""
        if self.in_proj is None:
            d, num_atoms = self.D.shape
            self.in_proj = Linear(d, num_atoms).to(self.D)
            self.in_proj.weight.data.copy_(self.D.detach().T)
            self.in_proj.bias.data.fill_(-self.sparsity)
