"""Segmentors, in mmseg's registry."""
from cbsa_mm.require import require

require('mmseg')

from .sliding_encoder_decoder import SlidingEncoderDecoder

__all__ = ['SlidingEncoderDecoder']
