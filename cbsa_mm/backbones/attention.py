"""Attentions by name, for ``attn_cfg`` of backbones and heads."""
from mmengine.registry import MODELS
from torch import nn

from cbsa_mm.layers import CBSA, MHSA, TSSA, AdaptedMHSA, LinearAttention

__all__ = [
    'AdaptedMHSA', 'AgentAttention', 'CBSA', 'LinearAttention', 'MHSA', 'MSSA', 'TSSA',
    'build_attention'
]


for attention in (CBSA, MHSA, TSSA, AdaptedMHSA, LinearAttention):
    MODELS.register_module(module=attention)


@MODELS.register_module()
def MSSA(*args, **kwargs) -> CBSA:
    """CRATE's attention over all tokens, softmax(W W^T / sqrt(p)) W, arXiv 2306.01129."""
    return CBSA(*args, representatives='tokens', **kwargs)


@MODELS.register_module()
def AgentAttention(*args, **kwargs) -> CBSA:
    """Pooled representatives without contraction, arXiv 2312.08874, with one projection."""
    return CBSA(*args, contraction='none', **kwargs)


def build_attention(cfg: dict | None, embed_dims: int, num_heads: int,
                    head_dims: int | None = None, default: dict | None = None) -> nn.Module:
    """Builds the attention of one layer.

    Args:
        cfg: ``type`` and its arguments, such as ``dict(type='CBSA', grid_size=8)``; any
            module that is called as ``attn(x, grid, grid_offset)``.
        embed_dims: Width d of the tokens.
        num_heads: Number of heads.
        head_dims: Width of a head; ``embed_dims // num_heads`` if not given.
        default: The attention, with arguments, that ``cfg`` modifies if it names no type.
    """
    cfg = cfg or {}
    if default and 'type' not in cfg:
        cfg = default | cfg
    sizes = dict(embed_dims=embed_dims, num_heads=num_heads, head_dims=head_dims)
    return MODELS.build(sizes | cfg)
