"""The simple feature pyramid of ViTDet, arXiv 2203.16527, section 3."""
import math
from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from mmengine.registry import MODELS
from torch import Tensor, nn

from cbsa_mm.errors import UserError


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of a feature map."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalises each position of a map (B, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Feature maps at several strides, all from the last map of a plain backbone.

    Each level upsamples the map by transposed convolutions or downsamples it by max pooling, then
    applies a 1x1 and a 3x3 convolution, each with LayerNorm over the channels (arXiv 2203.16527,
    section 3 and appendix; 4, 2, 1 and 0.5 times a map of stride 16 are strides 4, 8, 16, 32).

    Args:
        in_channels: Channels of the backbone's last map.
        out_channels: Channels of every level.
        scales: Size of each level relative to that map, powers of two in descending order. Each
            doubling halves the channels.
        num_outs: Number of levels; those beyond ``scales`` subsample the previous level by 2, as
            needed by RPN. By default there are none.
        init_cfg: mmengine's initialization config.

    Raises:
        ValueError: If an argument is invalid.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 256,
                 scales: Sequence[float] = (4, 2, 1, 0.5),
                 num_outs: int | None = None,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        scales = tuple(scales)
        if not scales or not all(s > 0 and math.log2(s).is_integer() for s in scales):
            raise ValueError(f'scales must be powers of two such as 4, 2, 1 and 0.5, got {scales}')
        if sorted(set(scales), reverse=True) != list(scales):
            raise ValueError(f'scales must be in descending order, got {scales}')
        if in_channels % max(scales):
            raise ValueError(f'in_channels={in_channels} must be a multiple of the largest of '
                             f'scales={scales}, as each doubling halves the channels')
        num_outs = len(scales) if num_outs is None else num_outs
        if num_outs < len(scales):
            raise ValueError(f'num_outs must be at least {len(scales)}, the number of scales, '
                             f'got {num_outs}')
        self.in_channels = in_channels
        self.num_extra_levels = num_outs - len(scales)
        self.levels = ModuleList(_level(in_channels, out_channels, scale) for scale in scales)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Builds the pyramid.

        Args:
            features: Output of a backbone; the last map, (B, in_channels, H, W), is used.

        Returns:
            (B, out_channels, ceil(s * H), ceil(s * W)) for each s of ``scales``, and the extra
            levels, each half the previous size, rounded up. The sizes match the strides exactly
            if H and W are even, as with images padded to multiples of 32.

        Raises:
            UserError: If the map has a different number of channels.
        """
        x = features[-1]
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise UserError(f'SimpleFeaturePyramid with in_channels={self.in_channels} takes a '
                            f'feature map of shape (B, {self.in_channels}, H, W), got '
                            f'{tuple(x.shape)}')
        outs = [level(x) for level in self.levels]
        for _ in range(self.num_extra_levels):
            outs.append(F.max_pool2d(outs[-1], 1, stride=2))
        return tuple(outs)


def _level(channels: int, out_channels: int, scale: float) -> nn.Sequential:
    layers = []
    if scale < 1:
        layers.append(nn.MaxPool2d(int(1 / scale), ceil_mode=True))
    for _ in range(int(math.log2(max(scale, 1)))):
        if layers:  # between two upsamplings
            layers += [LayerNorm2d(channels, eps=1e-6), nn.GELU()]
        layers.append(nn.ConvTranspose2d(channels, channels // 2, 2, stride=2))
        channels //= 2
    return nn.Sequential(
        *layers,
        nn.Conv2d(channels, out_channels, 1, bias=False), LayerNorm2d(out_channels, eps=1e-6),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels, eps=1e-6))
