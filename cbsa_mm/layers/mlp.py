"""The MLP of ViT."""
from torch import nn

from .linear import Linear


class MLP(nn.Sequential):
    """Two linear layers with GELU between them (arXiv 2010.11929).

    Args:
        embed_dims: Width d of the tokens.
        ratio: Ratio of the hidden width to d.
    """

    skip = True

    def __init__(self, embed_dims: int, ratio: float = 4.) -> None:
        hidden_dims = int(ratio * embed_dims)
        super().__init__(
            Linear(embed_dims, hidden_dims), nn.GELU(), Linear(hidden_dims, embed_dims))
