"""The convolutional stem that turns an image into tokens."""
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


class ConvStem(nn.Sequential):
    """3x3 convolutions of stride 2 down to one vector a patch, each with BatchNorm, GELU between.

    The width doubles from layer to layer: for ``patch_size=16`` it is d/8, d/4, d/2, d.

    Args:
        in_channels: Channels of the image.
        embed_dims: Width d of the tokens.
        patch_size: Stride of the whole stem, a power of two; the released models use 16.

    Raises:
        ValueError: If ``patch_size`` is no power of two above 1, or ``embed_dims`` can't be halved
            often enough.
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
        # The convolutions' kernels are faster so, and their output is tokens without a copy.
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """Maps an image (B, C, H, W) to (B, d, ceil(H / patch_size), ceil(W / patch_size))."""
        return super().forward(image)

    def switch_to_deploy(self) -> None:
        """Folds each BatchNorm into the convolution before it."""
        for i, norm in enumerate(self):
            if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                conv = self[i - 1]
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
                    norm.weight, norm.bias)
                self[i] = nn.Identity()
