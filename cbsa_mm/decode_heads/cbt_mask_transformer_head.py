"""The CBT mask-transformer decoder for mmseg, arXiv 2509.16875v3."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import ModuleList
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from cbsa_mm.backbones import build_attention
from cbsa_mm.errors import UserError
from cbsa_mm.layers import Block, SubspaceAttention


@MODELS.register_module()
class CBTMaskTransformerHead(BaseDecodeHead):
    """Mask transformer with CBSA: patch tokens and class embeddings attend jointly, without MLPs.

    A mask is the cosine similarity of each patch with a class, normalised over the classes.

    Args:
        in_channels: Channels of the encoder's feature map; with ``in_index`` as a list and
            ``input_transform='resize_concat'``, those of each map. The width d of the decoder is
            ``channels``, by default the same; if it differs, a linear map comes first, as in
            Segmenter.
        num_layers: Attention layers. The published decoders have 3 for ViT-T and -S, 6 for -B and
            9 for -L.
        num_heads: Subspaces h.
        head_dims: Width p of a subspace.
        attn_cfg: The attention and its arguments, as in :class:`cbsa_mm.backbones.CBT`;
            ``dict(type='CBSA', grid_size=10)`` by default. Only patch tokens are pooled to
            representatives.
        with_cp: Whether to recompute the layers in the backward pass, which saves memory.
        deploy: Whether to build the form of :meth:`switch_to_deploy`, for weights in that form.
        kwargs: Arguments of :class:`mmseg.models.decode_heads.decode_head.BaseDecodeHead`, such as
            ``num_classes``, ``loss_decode``, ``align_corners``, ``ignore_index``.

    Raises:
        ValueError: If ``num_layers`` is below 1, if there are fewer than two output channels, or if
            ``input_transform`` selects several maps without joining them.
    """

    default_attn_cfg = dict(type='CBSA', grid_size=10)

    def __init__(self,
                 in_channels: int | Sequence[int],
                 num_layers: int = 3,
                 num_heads: int = 3,
                 head_dims: int = 100,
                 attn_cfg: dict | None = None,
                 with_cp: bool = False,
                 deploy: bool = False,
                 **kwargs) -> None:
        width = in_channels if isinstance(in_channels, int) else sum(in_channels)
        kwargs = dict(channels=width, dropout_ratio=0, init_cfg=None) | kwargs
        super().__init__(in_channels, **kwargs)
        del self.conv_seg  # the masks are the logits
        if self.input_transform == 'multiple_select':
            raise ValueError('the decoder takes one feature map: to join several, set '
                             "input_transform='resize_concat'")
        if num_layers < 1:
            raise ValueError(f'num_layers must be at least 1, got {num_layers}')
        if self.out_channels < 2:
            raise ValueError('masks are normalised over the classes, so one output channel '
                             'would be constant: for binary segmentation use num_classes=2 and '
                             'do not set out_channels')
        self.class_embed = nn.Parameter(torch.empty(1, self.out_channels, self.channels))
        self.dec_proj = nn.Identity()
        if self.channels != self.in_channels:
            self.dec_proj = nn.Conv2d(self.in_channels, self.channels, 1)
        self.layers = ModuleList(
            Block(
                self.channels,
                build_attention(
                    attn_cfg, self.channels, num_heads, head_dims, self.default_attn_cfg),
                with_cp=with_cp) for _ in range(num_layers))
        self.norm = nn.LayerNorm(self.channels)
        self.mask_norm = nn.LayerNorm(self.out_channels)
        self._reset_parameters()
        if deploy:
            self.switch_to_deploy()

    def _reset_parameters(self) -> None:
        nn.init.trunc_normal_(self.class_embed, std=0.02)
        tied = {module.in_proj for module in self.modules()
                if isinstance(module, SubspaceAttention) and module.out_proj is None}
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d) and module not in tied:
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def switch_to_deploy(self) -> None:
        """Folds the affines of the layers' LayerNorms into the projections, for inference.

        Outputs stay the same up to rounding; names and shapes of the parameters change.
        """
        for layer in self.layers:
            layer.switch_to_deploy()

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Predicts masks.

        Args:
            inputs: Feature maps of the encoder; that at ``in_index`` is (B, d, H, W).

        Returns:
            Logits (B, num_classes, H, W), at the feature map's resolution.

        Raises:
            UserError: If that feature map has a different shape.
        """
        x = self._transform_inputs(inputs)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise UserError(f'{type(self).__name__} with in_channels={self.in_channels} takes '
                             f'features of shape (B, {self.in_channels}, H, W), got '
                             f'{tuple(x.shape)}')
        patches, classes = self._decode(self.dec_proj(x))
        masks = F.normalize(patches, dim=-1) @ F.normalize(classes, dim=-1).mT
        masks = self.mask_norm(masks)                                             # (B, H*W, K)
        # Upsampling reads the masks one by one, several times faster if each is contiguous.
        return masks.transpose(1, 2).unflatten(2, x.shape[2:]).contiguous()

    def _decode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps features (B, d, H, W) to those of patches (B, H*W, d) and classes (B, K, d)."""
        grid = tuple(x.shape[2:])
        # Concatenating before transposing is faster.
        x = torch.cat([x.flatten(2), self.class_embed.mT.expand(x.shape[0], -1, -1)], dim=2)
        x = x.mT.contiguous()                                                     # (B, H*W+K, d)
        for layer in self.layers:
            x = layer(x, grid)
        return self.norm(x).split([grid[0] * grid[1], self.out_channels], dim=1)
