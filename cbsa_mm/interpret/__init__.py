"""Interpretation: representatives, attention maps, coding rates, robustness, in plain PyTorch."""
from .cost import count_flops, count_parameters, count_similarities
from .maps import attention_maps, enlarge, patch_index
from .measures import attention_rank, coding_rate, sparsity, subspace_overlap
from .perturb import (
    add_noise,
    attention_layers,
    perturbed,
    random_rotation,
    rotate_whole_basis,
    rotate_within_heads,
    with_subspaces,
)
from .recorder import LayerRecord, Recorder
from .trace import Trace, trace
from .zero_shot import boundary, iou, keep_mass, segment, split_labels

__all__ = [
    'LayerRecord', 'Recorder', 'Trace', 'add_noise', 'attention_layers', 'attention_maps',
    'attention_rank', 'boundary', 'coding_rate', 'count_flops', 'count_parameters',
    'count_similarities', 'enlarge', 'iou', 'keep_mass', 'patch_index', 'perturbed',
    'random_rotation', 'rotate_whole_basis', 'rotate_within_heads', 'segment', 'sparsity',
    'split_labels', 'subspace_overlap', 'trace', 'with_subspaces'
]
