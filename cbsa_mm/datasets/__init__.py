"""Data sets: procedural shapes, in mmengine's root registry, and CamVid, in mmseg's; checks."""
from cbsa_mm.require import MissingLibraryError, require

require('mmengine')

from .check_files import CheckedPipeline, build_dataset, dataset_parts, guard_dataset
from .check_labels import CheckClsLabels, CheckSegLabels
from .shapes import ShapesDataset
from .survey import Survey, survey

__all__ = [
    'CheckClsLabels', 'CheckSegLabels', 'CheckedPipeline', 'ShapesDataset', 'Survey',
    'build_dataset', 'dataset_parts', 'guard_dataset', 'survey'
]

try:
    require('mmseg.datasets')
except MissingLibraryError:
    pass
else:
    from .camvid import CamVidDataset
    __all__ += ['CamVidDataset']
