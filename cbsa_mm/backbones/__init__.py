"""Backbones, in mmengine's root registry: every OpenMMLab library finds them."""
from cbsa_mm.require import require

require('mmengine')

from .adapted_vit import AdaptedViT
from .attention import build_attention
from .cbt import CBT

__all__ = ['CBT', 'AdaptedViT', 'build_attention']
