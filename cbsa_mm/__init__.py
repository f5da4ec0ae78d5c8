"""Contract-and-Broadcast Self-Attention for OpenMMLab.

Importing the package registers what the installed libraries allow: with mmengine the CBT backbone,
schedules, hooks and data sets, with mmseg also the mask-transformer head. ``cbsa_mm.layers`` needs
nothing but PyTorch.
"""
from importlib import import_module

from .require import MissingLibraryError
from .version import __version__

for _name in ('backbones', 'engine', 'datasets', 'decode_heads'):
    try:
        import_module(f'{__name__}.{_name}')
    except MissingLibraryError:  # raised again, with its advice, where that part is imported
        pass

__all__ = ['__version__']
