"""Decode heads, in mmseg's registry."""
from cbsa_mm.require import require

require('mmseg.models')

from .cbt_mask_transformer_head import CBTMaskTransformerHead

__all__ = ['CBTMaskTransformerHead']
