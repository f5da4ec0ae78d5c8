"""Inference: loading models, predictions, deploy form, export, and images with masks."""
from cbsa_mm.require import require

require('mmengine')

from .deploy import reparameterize_file, switch_to_deploy
from .export import export_file
from .loading import load_checkpoint, use_safe_loading
from .model import (
    build_model,
    image_pipeline,
    load_model,
    native_size,
    predict,
    preprocess,
    read_image,
    read_test_images,
)
from .timm_weights import load_from_timm

__all__ = [
    'build_model', 'export_file', 'image_pipeline', 'load_checkpoint', 'load_from_timm',
    'load_model', 'native_size', 'predict', 'preprocess', 'read_image', 'read_test_images',
    'reparameterize_file', 'switch_to_deploy', 'use_safe_loading'
]
