"""Stems, which turn an image into a grid of tokens."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


class ConvStem(nn.Sequential):
    """3x3 convolutions of stride 2 down to one vector per patch, with BatchNorm and GELU.

    The width doubles from layer to layer: for ``patch_size=16`` it is d/8, d/4, d/2, d.

    Args:
        in_channels: Channels of the image.
        embed_dims: Width d of the tokens.
        patch_size: Stride of the whole stem, a power of two; the released models use 16.

    Raises:
        ValueError: If ``patch_size`` is not a power of two above 1, or ``embed_dims`` cannot be
            halved often enough.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int = 16) -> None:
        depth = patch_size.bit_length() - 1
        if patch_size != 2**depth or depth < 1:
            raise ValueError(f'patch_size must be a power of two such as 8 or 16, got {patch_size}')
        if embed_dims % 2**(depth - 1):
            raise ValueError(f'embed_dims={embed_dims} must be a multiple of {2**(depth - 1)} '
                             f'for patch_size={patch_size}')
        widths = [in_channels] + [embed_dims // 2**i for i in reversed(range(depth))]
        layers = []
        for width_in, width_out in zip(widths, widths[1:]):
            layers += [
                nn.Conv2d(width_in, width_out, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width_out),
                nn.GELU()
            ]
        super().__init__(*layers[:-1])
        # Faster convolution kernels, and their output needs no copy to become tokens.
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Maps an image (B, C, H, W) to (B, d, ceil(H / patch_size), ceil(W / patch_size))."""
        return super().forward(image)

    def switch_to_deploy(self) -> None:
        """Folds each BatchNorm into the convolution before it."""
        for i, norm in enumerate(self):
            if hasattr(norm, 'running_mean'):
                conv = self[i - 1]
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
                    norm.weight, norm.bias)
                self[i] = nn.Identity()


class LinearStem(nn.Sequential):
    """A linear layer on each patch between two LayerNorms, as in CRATE (arXiv 2306.01129).

    Args:
        in_channels: Channels of the image.
        embed_dims: Width d of the tokens.
        patch_size: Height and width of a patch.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int = 16) -> None:
        patch_dims = in_channels * patch_size**2
        super().__init__(
            nn.LayerNorm(patch_dims), nn.Linear(patch_dims, embed_dims), nn.LayerNorm(embed_dims))
        self.patch_size = patch_size

    def forward(self, image: Tensor) -> Tensor:
        """Maps an image (B, C, H, W) to (B, d, ceil(H / patch_size), ceil(W / patch_size))."""
        x, side = pad_to_patches(image, self.patch_size), self.patch_size
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels, height // side, side, width // side, side)
        x = x.permute(0, 2, 4, 3, 5, 1).flatten(3)                        # (B, H', W', P*P*C)
        return super().forward(x).permute(0, 3, 1, 2)


class PatchStem(nn.Conv2d):
    """A linear layer on each patch, as in ViT.

    Args:
        in_channels: Channels of the image.
        embed_dims: Width d of the tokens.
        patch_size: Height and width of a patch.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int = 16) -> None:
        super().__init__(in_channels, embed_dims, patch_size, stride=patch_size)

    def forward(self, image: Tensor) -> Tensor:
        """Maps an image (B, C, H, W) to (B, d, ceil(H / patch_size), ceil(W / patch_size))."""
        return super().forward(pad_to_patches(image, self.stride[0]))


def pad_to_patches(image: Tensor, patch_size: int) -> Tensor:
    """Pads images (B, C, H, W) with zeros at the bottom and right to whole patches."""
    height, width = image.shape[2:]
    return F.pad(image, (0, -width % patch_size, 0, -height % patch_size))
