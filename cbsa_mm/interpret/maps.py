"""Attention maps: what a token attends to, on the image grid."""
import torch
import torch.nn.functional as F
from torch import Tensor

from .recorder import LayerRecord


def attention_maps(record: LayerRecord, tokens: Tensor | list[int]) -> Tensor:
    """Attention of some tokens to the patches of the image.

    Args:
        record: A recorded layer.
        tokens: Their indices; :func:`patch_index` gives that of a patch, 0 is the class token of
            a backbone, and in a mask transformer the classes come last.

    Returns:
        Maps (B, h, n, H', W') on the token grid.

    Raises:
        ValueError: If the attention has no token-by-token matrix.
    """
    rows = record.trace.rows(torch.as_tensor(tokens, device=record.x.device))
    height, width = record.image_grid
    first = record.num_extra_tokens
    return rows[..., first:first + height * width].unflatten(-1, (height, width))


def patch_index(record: LayerRecord, y: float, x: float) -> int:
    """The index of the token at a position in the image.

    Args:
        record: A recorded layer.
        y: Vertical position, from 0 at the top to 1.
        x: Horizontal position, from 0 at the left to 1.
    """
    height, width = record.image_grid
    row, column = (min(int(place * size), size - 1) for place, size in ((y, height), (x, width)))
    return record.num_extra_tokens + row * width + column


def enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes maps (..., H', W') to an image's size (H, W), each scaled to [0, 1]."""
    flat = maps.reshape(-1, 1, *maps.shape[-2:]).float()
    flat = F.interpolate(flat, size=size, mode='bilinear').squeeze(1)
    low, high = flat.amin((1, 2), keepdim=True), flat.amax((1, 2), keepdim=True)
    return ((flat - low) / (high - low).clamp_min(1e-12)).reshape(*maps.shape[:-2], *size)
