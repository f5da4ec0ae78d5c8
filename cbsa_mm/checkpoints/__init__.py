"""Reading released checkpoints as data, and mapping them to this package's names and back."""
from .describe import describe
from .families import Converted, Family, convert, identify, restore
from .fit import check_pretrained, load_strictly
from .read import find_state_dict, read_checkpoint
from .tables import (
    CBT_CLASSIFIER,
    CBT_DECODER,
    CBT_SEGMENTER,
    CRATE_ALPHA_CLASSIFIER,
    CRATE_CLASSIFIER,
    CRATE_STYLE_CLASSIFIER,
    DEPICT_CA_DECODER,
    DEPICT_SA_DECODER,
    MMPRETRAIN_VIT,
    MMSEG_VIT,
    PLAIN_VIT,
    TOST_STYLE_CLASSIFIER,
    Table,
)
from .variant import check_variant, read_variant
from .write import write_checkpoint, write_whole

__all__ = [
    'CBT_CLASSIFIER', 'CBT_DECODER', 'CBT_SEGMENTER', 'CRATE_ALPHA_CLASSIFIER', 'CRATE_CLASSIFIER',
    'CRATE_STYLE_CLASSIFIER', 'Converted', 'DEPICT_CA_DECODER', 'DEPICT_SA_DECODER', 'Family',
    'MMPRETRAIN_VIT', 'MMSEG_VIT', 'PLAIN_VIT', 'TOST_STYLE_CLASSIFIER', 'Table',
    'check_pretrained', 'check_variant', 'convert', 'describe', 'find_state_dict', 'identify',
    'load_strictly', 'read_checkpoint', 'read_variant', 'restore', 'write_checkpoint', 'write_whole'
]
