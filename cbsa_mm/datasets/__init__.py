"""Data sets: procedural shapes; CamVid, for mmseg, in :mod:`cbsa_mm.datasets.camvid`; checks;
configs for own data."""
from cbsa_mm.require import require

require('mmengine')

from .check_files import CheckedPipeline, build_dataset, dataset_parts, guard_dataset
from .check_labels import CheckLabels
from .metainfo import find_test_dataset, read_metainfo
from .new_config import Encoder, write_new
from .own_data import look_at_class_folders, look_at_masks
from .shapes import ShapesDataset
from .survey import Survey, survey

__all__ = [
    'CheckLabels', 'CheckedPipeline', 'Encoder', 'ShapesDataset', 'Survey', 'build_dataset',
    'dataset_parts', 'find_test_dataset', 'guard_dataset', 'look_at_class_folders',
    'look_at_masks', 'read_metainfo', 'survey', 'write_new'
]
