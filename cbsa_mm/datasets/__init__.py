"""Data sets: procedural shapes, in mmengine's root registry, and CamVid, in mmseg's."""
from cbsa_mm.require import MissingLibraryError, require

require('mmengine')

from .check_labels import CheckSegLabels  # noqa: E402
from .shapes import ShapesDataset  # noqa: E402

__all__ = ['CheckSegLabels', 'ShapesDataset']

try:
    require('mmseg.datasets')
except MissingLibraryError:
    pass
else:
    from .camvid import CamVidDataset  # noqa: F401
    __all__ += ['CamVidDataset']
