"""Data sets: procedural shapes; CamVid, for mmseg, in :mod:`cbsa_mm.datasets.camvid`; checks."""
from cbsa_mm.require import require

require('mmengine')

from .check_files import CheckedPipeline, build_dataset, dataset_parts, guard_dataset
from .check_labels import CheckClsLabels, CheckSegLabels
from .shapes import ShapesDataset
from .survey import Survey, survey

__all__ = [
    'CheckClsLabels', 'CheckSegLabels', 'CheckedPipeline', 'ShapesDataset', 'Survey',
    'build_dataset', 'dataset_parts', 'guard_dataset', 'survey'
]
