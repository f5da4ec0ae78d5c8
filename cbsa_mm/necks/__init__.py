"""Necks, in mmengine's root registry, where every OpenMMLab library finds them."""
from cbsa_mm.require import require

require('mmengine')

from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ['SimpleFeaturePyramid']
