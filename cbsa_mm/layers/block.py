"""The pre-norm residual block of CBT."""
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .deploy import Standardization, fold_affine


class Block(nn.Module):
    """x <- x + attn(LN x), then x <- ISTA(LN x), or in a ViT x <- x + MLP(LN x), or neither.

    Args:
        embed_dims: Width d of the tokens.
        attn: An attention layer called as ``attn(x, grid, grid_offset)``.
        ista: The sparsification step; the decoder's blocks have none.
        mlp: A ViT's MLP; unlike ISTA, it has a skip connection.
        drop_path: Probability that a sample skips the attention and, drawn separately, the MLP.
        with_cp: Whether to recompute the block in the backward pass, which saves memory.
        eps: Epsilon of the LayerNorms.
    """

    def __init__(self,
                 embed_dims: int,
                 attn: nn.Module,
                 ista: nn.Module | None = None,
                 mlp: nn.Module | None = None,
                 drop_path: float = 0.,
                 with_cp: bool = False,
                 eps: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps)
        self.attn = attn
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(embed_dims, eps) if ista or mlp else None
        self.ista = ista
        self.mlp = mlp
        self.with_cp = with_cp

    def forward(self, x: Tensor, grid: tuple[int, int], grid_offset: int = 0) -> Tensor:
        """Maps tokens (B, N, d) to (B, N, d); grid and offset are :class:`CBSA`'s."""
        if self.with_cp and x.requires_grad:
            return checkpoint(self._forward, x, grid, grid_offset, use_reentrant=False)
        return self._forward(x, grid, grid_offset)

    def _forward(self, x: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), grid, grid_offset))
        if self.ista is not None:
            return self.ista(self.norm2(x))
        return x if self.mlp is None else x + self.drop_path(self.mlp(self.norm2(x)))

    def switch_to_deploy(self) -> None:
        """Folds constants for inference: norm1's affine into the attention's projection, and
        ISTA into one matrix. norm2 keeps its affine, since ISTA also uses its output directly;
        norm1 does if the output is tied to the projection.
        """
        if isinstance(self.norm1, nn.LayerNorm) and self.attn.out_proj is not None:
            self.attn.in_proj = fold_affine(self.norm1, self.attn.in_proj)
            self.norm1 = Standardization(self.norm1)
        if self.ista is not None:
            self.ista.switch_to_deploy()


class DropPath(nn.Module):
    """Stochastic depth of a residual branch, drawn as in timm and the released segmenter.

    Args:
        p: Probability that a sample's branch is dropped in training.

    Raises:
        ValueError: If ``p`` is not in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f'the drop path rate must be from 0 to below 1, got {p}')
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, N, d) to zeros for some samples, and to x / (1 - p) for the others."""
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        # Uniform numbers, not torchvision's Bernoulli: the same seed drops the same samples.
        kept = torch.rand((x.shape[0], 1, 1), dtype=x.dtype, device=x.device).add_(keep).floor_()
        return x.div(keep) * kept
