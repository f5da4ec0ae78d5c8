"""Position embeddings for image grids of any size."""
import torch
import torch.nn.functional as F
from torch import Tensor

from cbsa_mm.compat import is_exporting


def resize_pos_embed(pos_embed: Tensor,
                     source: tuple[int, int],
                     target: tuple[int, int],
                     num_extra_tokens: int = 1,
                     mode: str = 'bicubic') -> Tensor:
    """Interpolates position embeddings from one token grid to another.

    Args:
        pos_embed: Embeddings (1, num_extra_tokens + H * W, d), the extra tokens first.
        source: Grid (H, W) of the embeddings.
        target: Grid (H', W') to resize to.
        num_extra_tokens: Leading tokens outside the grid, left unchanged.
        mode: Interpolation, 'bicubic' or 'bilinear'.

    Returns:
        Embeddings (1, num_extra_tokens + H' * W', d).
    """
    if not is_exporting() and source == target:
        return pos_embed
    extra, image = pos_embed[:, :num_extra_tokens], pos_embed[:, num_extra_tokens:]
    image = image.transpose(1, 2).unflatten(2, source)                # (1, d, H, W)
    image = F.interpolate(image, size=target, mode=mode, align_corners=False)
    return torch.cat([extra, image.flatten(2).transpose(1, 2)], dim=1)
