"""The mask transformers of DEPICT (arXiv 2411.03033), whose attention is MSSA, tied."""
from mmengine.model import ModuleList
from mmseg.registry import MODELS
from torch import Tensor, nn

from cbsa_mm.layers import CrossMSSA

from .cbt_mask_transformer_head import CBTMaskTransformerHead


@MODELS.register_module()
class DEPICTSAHead(CBTMaskTransformerHead):
    """DEPICT-SA: self-attention among patch tokens and class embeddings.

    Same as :class:`CBTMaskTransformerHead` except for the default attention.
    """

    default_attn_cfg = dict(type='MSSA', output='tied')


@MODELS.register_module()
class DEPICTCAHead(DEPICTSAHead):
    """DEPICT-CA: self-attention among patch tokens, then the classes attend to them.

    Args:
        in_channels: Width d of the encoder's feature map and the decoder.
        num_cross_layers: Layers in which the classes attend to the patches.
        cross_head_dims: Width of a subspace in these layers.
        kwargs: Other arguments of :class:`CBTMaskTransformerHead`.

    Raises:
        ValueError: If ``num_cross_layers`` is below 1, or as the base class does.
    """

    def __init__(self,
                 in_channels: int,
                 num_heads: int = 3,
                 num_cross_layers: int = 3,
                 cross_head_dims: int = 50,
                 deploy: bool = False,
                 **kwargs) -> None:
        if num_cross_layers < 1:
            raise ValueError(f'num_cross_layers must be at least 1, got {num_cross_layers}')
        super().__init__(in_channels, num_heads=num_heads, **kwargs)
        self.cross_norms = ModuleList(
            nn.LayerNorm(self.channels) for _ in range(num_cross_layers))
        self.cross_layers = ModuleList(
            CrossMSSA(self.channels, num_heads, cross_head_dims) for _ in range(num_cross_layers))
        self.class_norm = nn.LayerNorm(self.channels)
        if deploy:
            self.switch_to_deploy()

    def _decode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps features (B, d, H, W) to those of patches (B, H*W, d) and classes (B, K, d)."""
        grid = tuple(x.shape[2:])
        classes = self.class_embed.expand(x.shape[0], -1, -1)
        patches = x.flatten(2).transpose(1, 2)
        for layer in self.layers:
            patches = layer(patches, grid)
        patches = self.norm(patches)
        for norm, attn in zip(self.cross_norms, self.cross_layers):
            classes = classes + attn(classes, norm(patches))  # the classes are not normalised
        return patches, self.class_norm(classes)
