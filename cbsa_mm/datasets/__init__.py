"""Data sets: procedural shapes, in mmengine's root registry, and CamVid, in mmseg's."""
from cbsa_mm.require import MissingLibraryError, require

require('mmengine')

from .check_labels import CheckSegLabels
from .shapes import ShapesDataset

__all__ = ['CheckSegLabels', 'ShapesDataset']

try:
    require('mmseg.datasets')
except MissingLibraryError:
    pass
else:
    from .camvid import CamVidDataset
    __all__ += ['CamVidDataset']
