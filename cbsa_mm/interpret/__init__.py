"""Looking inside: representatives, attention maps, coding rates, in plain PyTorch."""
from .maps import attention_maps, enlarge, patch_index
from .measures import attention_rank, coding_rate, sparsity, subspace_overlap
from .recorder import LayerRecord, Recorder
from .trace import Trace, trace

__all__ = [
    'LayerRecord', 'Recorder', 'Trace', 'attention_maps', 'attention_rank', 'coding_rate',
    'enlarge', 'patch_index', 'sparsity', 'subspace_overlap', 'trace'
]
