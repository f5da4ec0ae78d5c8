"""The pre-norm residual block of CBT."""
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .deploy import Standardization, fold_affine


class Block(nn.Module):
    """x <- x + attn(LN x), then x <- ISTA(LN x), or x <- x + ODL(LN x) or MLP(LN x), or nothing.

    Args:
        embed_dims: Width d of the tokens.
        attn: An attention layer called as ``attn(x, grid, grid_offset)``.
        ffn: The step after the attention: :class:`ISTA`, :class:`ODL`, :class:`MLP` or another,
            whose attribute ``skip`` tells whether its result is added to the tokens. Its
            parameters are named after its class: ``ista.weight``. The decoder's blocks have none.
        drop_path: Probability that a sample skips the attention and, drawn separately, an
            ``ffn`` with a skip connection.
        with_cp: Whether to recompute the block in the backward pass, which saves memory.
        eps: Epsilon of the LayerNorms.
    """

    def __init__(self,
                 embed_dims: int,
                 attn: nn.Module,
                 ffn: nn.Module | None = None,
                 drop_path: float = 0.,
                 with_cp: bool = False,
                 eps: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps)
        self.attn = attn
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(embed_dims, eps) if ffn else None
        self.ffn_name = ffn and type(ffn).__name__.lower()
        if ffn:
            self.add_module(self.ffn_name, ffn)
        self.with_cp = with_cp

    def forward(self, x: Tensor, grid: tuple[int, int], grid_offset: int = 0) -> Tensor:
        """Maps tokens (B, N, d) to (B, N, d); grid and offset are :class:`CBSA`'s."""
        if self.with_cp and x.requires_grad:
            return checkpoint(self._forward, x, grid, grid_offset, use_reentrant=False)
        return self._forward(x, grid, grid_offset)

    def _forward(self, x: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), grid, grid_offset))
        ffn = self.ffn
        if ffn is None:
            return x
        y = ffn(self.norm2(x))
        return x + self.drop_path(y) if ffn.skip else y

    @property
    def ffn(self) -> nn.Module | None:
        """The step after the attention."""
        return self.ffn_name and getattr(self, self.ffn_name)

    def switch_to_deploy(self) -> None:
        """Folds constants for inference: norm1's affine into the attention's projection, and
        ISTA into one matrix. norm2 keeps its affine, since ISTA and ODL also use its output
        directly; norm1 does if the output is tied to the projection.
        """
        if isinstance(self.norm1, nn.LayerNorm) and self.attn.out_proj is not None:
            self.attn.in_proj = fold_affine(self.norm1, self.attn.in_proj)
            self.norm1 = Standardization(self.norm1)
        if hasattr(self.ffn, 'switch_to_deploy'):
            self.ffn.switch_to_deploy()


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
