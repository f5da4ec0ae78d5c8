"""Backbones, in mmengine's root registry: every OpenMMLab library finds them."""
from cbsa_mm.require import require

require('mmengine')

from .cbt import CBT

__all__ = ['CBT']
