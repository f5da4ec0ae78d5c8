"""Looking inside: representatives, attention maps, coding rates, in plain PyTorch."""
from .measures import attention_rank, coding_rate, sparsity, subspace_overlap
from .recorder import LayerRecord, Recorder
from .trace import Trace, trace

__all__ = [
    'LayerRecord', 'Recorder', 'Trace', 'attention_rank', 'coding_rate', 'sparsity',
    'subspace_overlap', 'trace'
]
