"""Data sets: procedural shapes; CamVid, for mmseg, in :mod:`cbsa_mm.datasets.camvid`; checks."""
from cbsa_mm.require import require

require('mmengine')

from .check_files import CheckedPipeline, build_dataset, dataset_parts, guard_dataset
from .check_folders import check_data_folders
from .check_labels import CheckClsLabels, CheckSegLabels
from .metainfo import read_metainfo
from .shapes import ShapesDataset
from .survey import Survey, survey

__all__ = [
    'CheckClsLabels', 'CheckSegLabels', 'CheckedPipeline', 'ShapesDataset', 'Survey',
    'build_dataset', 'check_data_folders', 'dataset_parts', 'guard_dataset', 'read_metainfo',
    'survey'
]
