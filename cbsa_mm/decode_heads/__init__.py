"""Decode heads, in mmseg's registry."""
from cbsa_mm.require import require

require('mmseg.models')

from .cbt_mask_transformer_head import CBTMaskTransformerHead
from .depict_heads import DEPICTCAHead, DEPICTSAHead
from .weighted_cross_entropy_loss import WeightedCrossEntropyLoss

__all__ = ['CBTMaskTransformerHead', 'DEPICTCAHead', 'DEPICTSAHead', 'WeightedCrossEntropyLoss']
