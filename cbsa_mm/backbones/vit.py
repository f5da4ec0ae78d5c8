"""Plain ViTs, and ViTs whose attention is adapted to CBSA (arXiv 2509.16875v3, figure 9)."""
from collections.abc import Sequence

from mmengine.registry import MODELS
from torch import nn

from cbsa_mm.checkpoints import MMPRETRAIN_VIT, MMSEG_VIT, PLAIN_VIT
from cbsa_mm.errors import UserError

from .cbt import CBT, resolve_arch


@MODELS.register_module()
class PlainViT(CBT):
    """ViT (arXiv 2010.11929) with CBT's interface: softmax attention and MLPs, patches as tokens.

    Stochastic depth drops attention and MLP separately, as in timm. ViT weights with the names of
    timm, mmpretrain or mmseg load directly: as a checkpoint, or by
    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``, without prefix for the
    file of a bare ViT.

    Args:
        arch: 'tiny', 'small', 'base' or 'large', or a dict, as in :class:`CBT`.
        img_size: Height and width, or side, of the images that the position embeddings fit.
        attn_cfg: The attention, as in :class:`CBT`; ``dict(type='MHSA')`` by default.
        ffn_cfg: The step after the attention, as in :class:`CBT`; ``dict(type='MLP')`` by default.
        norm_eps: Epsilon of the LayerNorms; 1e-6 as in timm, 1e-5 in Segmenter.
        final_norm_eps: Epsilon of the final LayerNorm, ``norm_eps`` if not given.
        interpolate_mode: How position embeddings are resized, 'bicubic' as in timm, or 'bilinear'
            as in Segmenter.
        kwargs: Other arguments of :class:`CBT`, such as ``patch_size``, ``stem`` ('patch' by
            default), ``grid_offset``, ``out_type``, ``drop_path_rate``, ``init_cfg``.

    Raises:
        ValueError: If an argument is invalid.
    """

    default_attn_cfg = dict(type='MHSA')
    default_ffn_cfg = dict(type='MLP')

    def __init__(self,
                 arch: str | dict = 'base',
                 img_size: int | Sequence[int] = 224,
                 attn_cfg: dict | Sequence[dict] | None = None,
                 ffn_cfg: dict | Sequence[dict] | None = None,
                 norm_eps: float = 1e-6,
                 final_norm_eps: float | None = None,
                 interpolate_mode: str = 'bicubic',
                 **kwargs) -> None:
        # Needed to build the layers.
        self.norm_eps = norm_eps
        self.final_norm_eps = norm_eps if final_norm_eps is None else final_norm_eps
        self.interpolate_mode = interpolate_mode
        kwargs = dict(stem='patch') | kwargs
        super().__init__(arch, img_size, attn_cfg=attn_cfg, ffn_cfg=ffn_cfg, **kwargs)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @staticmethod
    def own_name(name: str) -> str | None:
        """Our name of a ViT's tensor in timm, mmpretrain or mmseg.

        Returns:
            The name; None for tensors outside the backbone; unknown names unchanged.
        """
        if PLAIN_VIT.knows(name, 'ours'):
            return name
        for table in (MMPRETRAIN_VIT, MMSEG_VIT):
            if table.knows(name, 'ours'):
                name = table.rename(name, 'ours')
        return PLAIN_VIT.rename(name, 'released') if PLAIN_VIT.knows(name, 'released') else name

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Renames tensors of other libraries while loading.

        Raises:
            UserError: If a tensor has two names, or as in :class:`CBT`.
        """
        for key in [key for key in state_dict if key.startswith(prefix)]:
            tensor, name = state_dict.pop(key), self.own_name(key.removeprefix(prefix))
            if name is not None:
                if prefix + name in state_dict:
                    raise UserError(f'the checkpoint has {name} twice: also as {key}')
                state_dict[prefix + name] = tensor
        super()._load_from_state_dict(state_dict, prefix, *args)


@MODELS.register_module()
class AdaptedViT(PlainViT):
    """ViT whose attention is adapted to CBSA and keeps its three pretrained projections.

    Args:
        arch: As in :class:`PlainViT`.
        img_size: As in :class:`PlainViT`.
        adapted_layers: Indices of the layers to adapt, negative ones counted from the end;
            all by default.
        grid_size: Representatives per side; there are ``grid_size ** 2``.
        contraction: Whether representatives are contracted; in the released code they are not.
        kwargs: Other arguments of :class:`PlainViT`.

    Raises:
        ValueError: If an argument is invalid.
    """

    def __init__(self,
                 arch: str | dict = 'base',
                 img_size: int | Sequence[int] = 224,
                 adapted_layers: Sequence[int] | None = None,
                 grid_size: int = 8,
                 contraction: bool = False,
                 **kwargs) -> None:
        num_layers = resolve_arch(arch)['num_layers']
        adapted_layers = range(num_layers) if adapted_layers is None else adapted_layers
        for i in adapted_layers:
            if not -num_layers <= i < num_layers:
                raise ValueError(f'adapted_layers must be indices of the {num_layers} layers, '
                                 f'got {i}')
        attn_cfg = [dict(type='MHSA') for _ in range(num_layers)]
        for i in adapted_layers:
            attn_cfg[i] = dict(type='AdaptedMHSA', grid_size=grid_size, contraction=contraction)
        super().__init__(arch, img_size, attn_cfg=attn_cfg, **kwargs)
