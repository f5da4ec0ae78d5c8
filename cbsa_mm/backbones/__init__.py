"""Backbones, in mmengine's root registry, where every OpenMMLab library finds them."""
from cbsa_mm.require import require

require('mmengine')

from .attention import build_attention
from .cbt import CBT
from .feature_cache import FeatureCache
from .timm_encoder import TimmEncoder
from .vit import AdaptedViT, PlainViT

__all__ = [
    'CBT', 'AdaptedViT', 'FeatureCache', 'PlainViT', 'TimmEncoder', 'build_attention'
]
