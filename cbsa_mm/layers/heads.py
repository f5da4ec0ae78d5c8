"""Base class of multi-head attentions."""
from torch import Tensor, nn

from .linear import Linear, linear


class SubspaceAttention(nn.Module):
    """Projects tokens onto the subspaces of its heads, and back.

    Args:
        embed_dims: Width d of the tokens.
        num_heads: Number of subspaces h.
        head_dims: Width p of a subspace; ``embed_dims // num_heads`` if not given.
        num_projections: Projections of each token: 1 shared by query, key and value, or 3.
        bias: Whether they have biases.
        tied: Whether to map back to width d with the transposed projection, without bias, instead
            of a separate linear layer.
        out_bias: Whether that layer has a bias.

    Raises:
        ValueError: If a size is not positive, or ``head_dims`` is not given and ``num_heads`` does
            not divide ``embed_dims``.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 head_dims: int | None = None,
                 num_projections: int = 1,
                 bias: bool = False,
                 tied: bool = False,
                 out_bias: bool = True) -> None:
        super().__init__()
        for name, size in (('embed_dims', embed_dims), ('num_heads', num_heads),
                           ('head_dims', head_dims)):
            if size is not None and size < 1:
                raise ValueError(f'{name} must be at least 1, got {size}')
        if head_dims is None:
            if embed_dims % num_heads:
                raise ValueError(f'num_heads={num_heads} does not divide embed_dims={embed_dims}; '
                                 'choose another number of heads or give head_dims')
            head_dims = embed_dims // num_heads
        self.num_heads, self.head_dims = num_heads, head_dims
        inner_dims = num_heads * head_dims
        self.in_proj = Linear(embed_dims, num_projections * inner_dims, bias=bias)  # U^T
        self.out_proj = None if tied else Linear(inner_dims, embed_dims, bias=out_bias)
        if tied:
            nn.init.normal_(self.in_proj.weight, std=embed_dims**-0.5)  # as in DEPICT

    def split_heads(self, x: Tensor) -> Tensor:
        """Makes heads contiguous, (B, N, h*p) to (B, h, N, p), once for all products."""
        return x.reshape(*x.shape[:2], -1, self.head_dims).transpose(1, 2).contiguous()

    def merge_heads(self, y: Tensor) -> Tensor:
        """Maps the heads' results (B, h, N, p) back to width d, (B, N, d)."""
        y = y.transpose(1, 2).flatten(2)
        return linear(y, self.in_proj.weight.mT) if self.out_proj is None else self.out_proj(y)

    def output(self) -> tuple[Tensor, Tensor | None]:
        """Weight (d, h*p) and bias (d, ) of the map back to width d."""
        if self.out_proj is None:
            return self.in_proj.weight.mT, None
        return self.out_proj.weight, self.out_proj.bias
