"""Maps as pictures."""
import matplotlib
import numpy as np
import torch.nn.functional as F
from torch import Tensor

from .maps import enlarge


def paint(values: Tensor, scale: int = 1) -> np.ndarray:
    """Colours a map from dark (0 or less) to bright (its maximum); NaN is white.

    Args:
        values: (H, W).
        scale: Pixels per value and side.

    Returns:
        RGB (H * scale, W * scale, 3) of uint8.
    """
    values = values.float().cpu().numpy()
    colors = matplotlib.colormaps['viridis'].with_extremes(bad='white')
    painted = colors(values / max(np.nanmax(values), 1e-12), bytes=True)[..., :3]
    return painted.repeat(scale, 0).repeat(scale, 1)


def overlay(image: np.ndarray, values: Tensor) -> np.ndarray:
    """Overlays a map (H', W') on an image (H, W, 3) of uint8; returns such an image."""
    colors = paint(enlarge(values, image.shape[:2]))
    return (0.3 * image.mean(-1, keepdims=True) + 0.7 * colors).astype(np.uint8)


def mosaic(maps: Tensor, columns: int) -> Tensor:
    """Tiles maps, each scaled to maximum 1, with a gap of NaN below and to the right.

    Args:
        maps: (m, H', W').
        columns: Maps per row; must divide m.

    Returns:
        (m / columns * (H' + 1), columns * (W' + 1)).
    """
    maps = maps / maps.amax((1, 2), keepdim=True).clamp_min(1e-12)
    maps = F.pad(maps, (0, 1, 0, 1), value=float('nan'))
    return maps.unflatten(0, (-1, columns)).transpose(1, 2).flatten(0, 1).flatten(1)


def mark(image: np.ndarray, y: int, x: int) -> np.ndarray:
    """Draws a white and black ring around a pixel of an image (H, W, 3)."""
    height, width = image.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot(rows - y, columns - x) / max(min(height, width) / 150, 1)
    marked = image.copy()
    marked[(distance >= 2) & (distance < 4)] = 255
    marked[(distance >= 4) & (distance < 5)] = 0
    return marked
