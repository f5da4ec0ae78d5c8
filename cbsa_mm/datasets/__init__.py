"""Data sets: procedural shapes; CamVid, for mmseg, in :mod:`cbsa_mm.datasets.camvid`; checks."""
from cbsa_mm.require import require

require('mmengine')

from .check_labels import CheckClsLabels, CheckSegLabels
from .checked_loading import (
    CheckedLoading,
    build_dataset,
    guard_dataset,
    guard_transforms,
    dataset_parts,
)
from .shapes import ShapesDataset
from .survey import Survey, survey

__all__ = [
    'CheckClsLabels', 'CheckSegLabels', 'CheckedLoading', 'ShapesDataset', 'Survey',
    'build_dataset', 'guard_dataset', 'guard_transforms', 'dataset_parts', 'survey'
]
