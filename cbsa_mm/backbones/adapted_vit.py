"""Pretrained ViTs with CBSA in the place of their attention, arXiv 2509.16875v3, figure 9."""
from collections.abc import Sequence

from mmengine.registry import MODELS
from torch import nn

from cbsa_mm.checkpoints import ADAPTED_VIT, MMPRETRAIN_VIT, MMSEG_VIT
from cbsa_mm.errors import UserError

from .cbt import CBT, resolve_arch


@MODELS.register_module()
class AdaptedViT(CBT):
    """ViT whose attention is adapted to CBSA and keeps its three pretrained projections.

    Weights of a plain ViT load as they are, by the names of mmpretrain, mmseg or timm: as a
    checkpoint, or by ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``,
    without prefix for a bare timm file.

    Args:
        arch: 'tiny', 'small', 'base' or 'large', or a dict, as in :class:`CBT`.
        img_size: Height and width, or side, of the images that the position embeddings are for.
        adapted_layers: Indices of the layers that are adapted, negative ones counted from the end;
            all by default.
        grid_size: Representatives per side; there are ``grid_size ** 2``.
        contraction: Whether representatives are contracted; in the released code they are not.
        kwargs: :class:`CBT`'s further arguments, such as ``patch_size``, ``grid_offset``,
            ``out_type``, ``drop_path_rate``, ``init_cfg``.

    Raises:
        ValueError: If an argument is out of its range.
    """

    norm_eps = 1e-6
    mlp_ratio = 4

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
        super().__init__(arch, img_size, attn_cfg=attn_cfg, stem='patch', **kwargs)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def _make_feedforward(self) -> dict[str, nn.Module]:
        hidden_dims = self.mlp_ratio * self.embed_dims
        return dict(mlp=nn.Sequential(
            nn.Linear(self.embed_dims, hidden_dims), nn.GELU(),
            nn.Linear(hidden_dims, self.embed_dims)))

    @staticmethod
    def own_name(name: str) -> str | None:
        """The name here of a ViT's tensor in timm, mmpretrain or mmseg.

        Returns:
            The name; None for tensors outside the backbone; others' names as they are.
        """
        if ADAPTED_VIT.knows(name, 'ours'):
            return name
        for table in (MMPRETRAIN_VIT, MMSEG_VIT):
            if table.knows(name, 'ours'):
                name = table.rename(name, 'ours')
        return ADAPTED_VIT.rename(name, 'released') if ADAPTED_VIT.knows(name, 'released') else name

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Takes the names of other libraries while loading.

        Raises:
            UserError: If a tensor is there by two names, or as in :class:`CBT`.
        """
        for key in [key for key in state_dict if key.startswith(prefix)]:
            tensor, name = state_dict.pop(key), self.own_name(key.removeprefix(prefix))
            if name is not None:
                if prefix + name in state_dict:
                    raise UserError(f'the checkpoint has {name} twice, as {key} too')
                state_dict[prefix + name] = tensor
        super()._load_from_state_dict(state_dict, prefix, *args)
