"""Zero-shot segmentation: how well attention maps segment the objects in an image."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cbsa_mm.errors import UserError

PARTS = ('foreground', 'background', 'boundary')
VOID = 255


def keep_mass(maps: Tensor, mass: float = 0.6) -> Tensor:
    """Selects the fewest patches that hold a fraction of each map's mass, largest first.

    Args:
        maps: Maps (..., H', W') without negative values, such as attention.
        mass: The fraction, in (0, 1]; 0.6 as for DINO (arXiv 2104.14294, figure 4).

    Returns:
        Masks (..., H', W') of bool. Among equal patches, the first in row-major order are taken.

    Raises:
        UserError: If ``mass`` is out of range.
    """
    if not 0 < mass <= 1:
        raise UserError(f'the mass to keep must be above 0 and at most 1, got {mass}')
    values, order = maps.flatten(-2).double().sort(descending=True, stable=True)
    held = values.cumsum(-1)
    kept = F.pad(held[..., :-1], (1, 0)) < mass * held[..., -1:]  # those before do not suffice
    masks = torch.zeros_like(kept).scatter(-1, order, kept)
    return masks.unflatten(-1, maps.shape[-2:])


def segment(maps: Tensor, size: tuple[int, int], mass: float = 0.6) -> Tensor:
    """The masks of :func:`keep_mass`, upsampled to the image by nearest neighbours.

    Args:
        maps: (h, H', W').
        size: Height and width (H, W) of the image.
        mass: The fraction of each map's mass.

    Returns:
        (h, H, W) of bool.
    """
    return F.interpolate(keep_mass(maps, mass).unsqueeze(0).float(), size, mode='nearest')[0].bool()


def iou(pred: Tensor, target: Tensor) -> Tensor:
    """Intersection over union of masks (..., H, W) of bool.

    Returns:
        (...); NaN where the target is empty, to be ignored by :func:`torch.nanmean`.
    """
    both, either = (mask.sum((-2, -1)) for mask in (pred & target, pred | target))
    return torch.where(target.any(-1).any(-1), both / either, torch.nan)


def boundary(mask: Tensor, width: int) -> Tensor:
    """Pixels on both sides of a mask's outline; the image border is not an outline.

    Args:
        mask: (H, W) of bool.
        width: Maximum distance to the nearest pixel of the other side, diagonals counting 1.

    Returns:
        (H, W) of bool: the dilation of the mask without its erosion.
    """
    sides = torch.stack([mask, ~mask]).float()
    return F.max_pool2d(sides, 2 * width + 1, stride=1, padding=width).all(0)


def split_labels(labels: Tensor, foreground: Sequence[int], width: int | None = None) -> Tensor:
    """Splits a label map, as in PASCAL VOC, into foreground, background and boundary.

    Args:
        labels: (H, W), with 255 for void pixels.
        foreground: Labels of the foreground; the others are background.
        width: The boundary consists of the pixels within this distance of the foreground's outline,
            and void pixels belong to no part; by default, the void pixels are the boundary.

    Returns:
        Disjoint masks (3, H, W) of bool, in the order of ``PARTS``.
    """
    void = labels == VOID
    inside = torch.isin(labels, torch.tensor(foreground).to(labels)) & ~void
    rim = void if width is None else boundary(inside, width) & ~void
    return torch.stack([inside & ~rim, ~(inside | void | rim), rim])
