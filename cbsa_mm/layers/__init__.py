"""The mathematics of CBT and its family in plain PyTorch."""
from .block import Block
from .cbsa import CBSA
from .cross_mssa import CrossMSSA
from .drop_in import DropIn, replace_attention
from .heads import SubspaceAttention
from .ista import ISTA
from .linear import Linear
from .linear_attention import LinearAttention
from .mhsa import MHSA, AdaptedMHSA
from .mlp import MLP
from .odl import ODL
from .pos_embed import resize_pos_embed
from .stem import ConvStem, LinearStem, PatchStem, pad_to_patches
from .tssa import TSSA

__all__ = [
    'CBSA', 'ISTA', 'MHSA', 'MLP', 'ODL', 'TSSA', 'AdaptedMHSA', 'Block', 'ConvStem', 'CrossMSSA',
    'DropIn', 'Linear', 'LinearAttention', 'LinearStem', 'PatchStem', 'SubspaceAttention',
    'pad_to_patches', 'replace_attention', 'resize_pos_embed'
]
