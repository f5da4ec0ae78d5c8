"""The mathematics of CBT in plain PyTorch."""
from .block import Block
from .cbsa import CBSA
from .ista import ISTA
from .linear import Linear
from .pos_embed import resize_pos_embed
from .stem import ConvStem

__all__ = ['CBSA', 'ISTA', 'Block', 'ConvStem', 'Linear', 'resize_pos_embed']
