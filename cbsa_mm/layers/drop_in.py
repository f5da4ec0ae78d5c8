"""Puts an attention into the ViTs of timm and mmpretrain."""
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from .cbsa import CBSA


class TokenGrid:
    """Size (H, W) of the token grid of the images that are passing through a model.

    Called as a forward hook of the convolution that makes patches into tokens.
    """
    size: tuple[int, int]

    def __call__(self, conv: nn.Conv2d, args: tuple, image: Tensor) -> None:
        self.size = tuple(image.shape[2:])


class DropIn(nn.Module):
    """An attention that is called as those of timm's and mmpretrain's ViTs: ``attn(x)``.

    Args:
        attn: The attention, called as ``attn(x, grid, grid_offset)``.
        grid: The grid. Class tokens and registers are before it.
        after: What follows the attention, such as stochastic depth in mmpretrain's ViTs.
    """

    def __init__(self, attn: nn.Module, grid: TokenGrid, after: nn.Module) -> None:
        super().__init__()
        self.attn, self.grid, self.after = attn, grid, after

    def forward(self, x: Tensor, **options: Any) -> Tensor:
        """Maps tokens (B, N, d) to their update (B, N, d).

        Raises:
            ValueError: If an option is used, such as a mask.
        """
        used = [name for name, value in options.items() if value is not None and value is not False]
        if used:
            raise ValueError(f'{type(self.attn).__name__} has no {" and ".join(used)}')
        height, width = self.grid.size
        return self.after(self.attn(x, (height, width), x.shape[1] - height * width))


def replace_attention(model: nn.Module,
                      attention: Callable[..., nn.Module] = CBSA,
                      layers: Sequence[int] | None = None,
                      **kwargs: Any) -> nn.Module:
    """Replaces the attention of a ViT of timm or mmpretrain.

    The new attention has the width and heads of the old one. With three projections, such as
    :class:`AdaptedMHSA`, it also takes over its weights; otherwise it is to be trained.

    Args:
        model: The ViT, modified in place; in mmpretrain the backbone. Its images may have any size.
        attention: Class of the new attention: one of this package, or one that is built and called
            alike.
        layers: Indices of the layers; all by default.
        kwargs: Arguments of ``attention``, such as ``grid_size``.

    Returns:
        The model.

    Raises:
        ValueError: If the model is not such a ViT, or its attention has more weights to take over
            than the new one has place for.
    """
    blocks = getattr(model, 'blocks', None) or getattr(model, 'layers', None) or []
    convs = [module for module in getattr(model, 'patch_embed', nn.Identity()).modules()
             if isinstance(module, nn.Conv2d)]
    blocks = [blocks[i] for i in (range(len(blocks)) if layers is None else layers)]
    if not (blocks and convs and all(hasattr(block.attn, 'qkv') for block in blocks)):
        raise ValueError(f'{type(model).__name__} is not a ViT of timm or mmpretrain with its own '
                         'attention')
    grid = TokenGrid()
    convs[-1].register_forward_hook(grid)
    for block in blocks:
        old = block.attn
        new = attention(old.qkv.in_features, old.num_heads, **kwargs).to(old.qkv.weight)
        if new.in_proj.weight.shape == old.qkv.weight.shape:
            _take_over(old, new)
        after = [getattr(old, name) for name in ('proj_drop', 'gamma1', 'out_drop')
                 if hasattr(old, name)]
        block.attn = DropIn(new, grid, nn.Sequential(*after)).train(old.training)
    return model


def _take_over(old: nn.Module, new: nn.Module) -> None:
    """Copies the projections; those without bias have one of zeros then."""
    rest = {name.split('.')[0] for name, _ in old.named_parameters()} - {'qkv', 'proj', 'gamma1'}
    if rest:
        raise ValueError(f'{type(new).__name__} has no place for the weights of '
                         f'{", ".join(sorted(rest))} in {type(old).__name__}')
    for source, target in ((old.qkv, new.in_proj), (old.proj, new.out_proj)):
        target.weight.data.copy_(source.weight.data)
        target.bias.data.zero_()
        if source.bias is not None:
            target.bias.data.copy_(source.bias.data)
