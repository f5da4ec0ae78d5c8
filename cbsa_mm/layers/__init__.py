"""The mathematics of CBT and its family in plain PyTorch."""
from .block import Block
from .cbsa import CBSA
from .cross_mssa import CrossMSSA
from .heads import SubspaceAttention
from .ista import ISTA
from .linear import Linear
from .linear_attention import LinearAttention
from .mhsa import MHSA, AdaptedMHSA
from .pos_embed import resize_pos_embed
from .stem import ConvStem, LinearStem, PatchStem, pad_to_patches
from .tssa import TSSA

__all__ = [
    'CBSA', 'ISTA', 'MHSA', 'TSSA', 'AdaptedMHSA', 'Block', 'ConvStem', 'CrossMSSA', 'Linear',
    'LinearAttention', 'LinearStem', 'PatchStem', 'SubspaceAttention', 'pad_to_patches',
    'resize_pos_embed'
]
