"""Steps after the attention by name, for ``ffn_cfg`` of backbones."""
from mmengine.registry import MODELS
from torch import nn

from cbsa_mm.layers import ISTA, MLP, ODL

for step in (ISTA, ODL, MLP):
    MODELS.register_module(module=step)


def build_feedforward(cfg: dict | None, embed_dims: int, default: dict) -> nn.Module:
    """Builds the step after the attention of one layer.

    Args:
        cfg: ``type`` and its arguments, such as ``dict(type='ODL', ratio=4)``; any module that
            maps (B, N, d) to (B, N, d). Its attribute ``skip`` tells whether the result is added
            to the tokens.
        embed_dims: Width d of the tokens.
        default: The step, with arguments, that ``cfg`` modifies if it names no type.
    """
    cfg = cfg or {}
    if 'type' not in cfg:
        cfg = default | cfg
    return MODELS.build(dict(embed_dims=embed_dims) | cfg)
