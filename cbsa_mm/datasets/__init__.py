"""Data sets: procedural shapes, in mmengine's root registry, and CamVid, in mmseg's; checks."""
from cbsa_mm.require import MissingLibraryError, require

require('mmengine')

from .check_folders import check_data_folders
from .check_labels import CheckClsLabels, CheckSegLabels
from .checked_loading import (
    CheckedLoading,
    build_dataset,
    guard_dataset,
    guard_transforms,
    dataset_parts,
)
from .metainfo import read_metainfo
from .shapes import ShapesDataset
from .survey import Survey, survey

__all__ = [
    'CheckClsLabels', 'CheckSegLabels', 'CheckedLoading', 'ShapesDataset', 'Survey',
    'build_dataset', 'check_data_folders', 'guard_dataset', 'guard_transforms', 'dataset_parts',
    'read_metainfo', 'survey'
]

try:
    require('mmseg.datasets')
except MissingLibraryError:
    pass
else:
    from .camvid import CamVidDataset
    __all__ += ['CamVidDataset']
