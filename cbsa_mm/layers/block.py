"""The pre-norm residual block of CBT."""
from torch import Tensor, nn
from torchvision.ops import StochasticDepth


class Block(nn.Module):
    """x <- x + attn(LN x), then, in the classifier, x <- ISTA(LN x).

    Args:
        embed_dims: Width d of the tokens.
        attn: An attention layer called as ``attn(x, grid, grid_offset)``.
        ista: The sparsification step; the decoder's blocks have none.
        drop_path: Probability with which a sample skips the attention.
    """

    def __init__(self,
                 embed_dims: int,
                 attn: nn.Module,
                 ista: nn.Module | None = None,
                 drop_path: float = 0.) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims)
        self.attn = attn
        self.drop_path = StochasticDepth(drop_path, mode='row')
        self.norm2 = nn.LayerNorm(embed_dims) if ista is not None else None
        self.ista = ista

    def forward(self, x: Tensor, grid: tuple[int, int], grid_offset: int = 0) -> Tensor:
        """Maps tokens (B, N, d) to (B, N, d); grid and offset are :class:`CBSA`'s."""
        x = x + self.drop_path(self.attn(self.norm1(x), grid, grid_offset))
        return x if self.ista is None else self.ista(self.norm2(x))
