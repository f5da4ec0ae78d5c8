"""Where the two sets of distributions differ: each difference, its reason, and what bridges it.

The onedl set goes with current PyTorch and has mmengine 0.10.12; the original one goes with PyTorch
2.1 and has mmengine 0.10.7. Nothing else in the package asks for a version.

Private attributes of other libraries, all that the package uses, for want of a public way:

=========================  ========================  ===============================================
attribute                  seen in                   reason
=========================  ========================  ===============================================
``_dynamo``                PyTorch 2.1               it tells of ``torch.compile`` there alone
``_load_from_state_dict``  PyTorch 2.1 and 2.14      the hook before loading is public only later
                                                     than 2.1
``_instance_dict``         mmengine 0.10.7, 0.10.12  ``DefaultScope`` tells the scope entered last,
                                                     not the one around it
``_ParamScheduler``        mmengine 0.10.7, 0.10.12  the base class of schedules, and
``_get_value``             the same                  the method in which they tell their values
``_transform_inputs``      mmseg 1.2.2, 1.4.2        how mmseg's guide has a head choose its input
=========================  ========================  ===============================================
"""
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, repeat
from typing import Any

import torch

# PyTorch 2.1 tells of torch.compile in a private module.
if hasattr(torch.compiler, 'is_compiling'):
    from torch.compiler import is_compiling
else:
    from torch._dynamo import is_compiling

# torch.export was a prototype before PyTorch 2.7; until then, ONNX files are made by tracing.
HAS_TORCH_EXPORT = hasattr(torch.compiler, 'is_exporting')

# Before PyTorch 2.6, a reader of checkpoints can't be told of types that are data.
HAS_SAFE_GLOBALS = hasattr(torch.serialization, 'safe_globals') and torch.__version__ >= '2.6'

__all__ = [
    'HAS_SAFE_GLOBALS', 'HAS_TORCH_EXPORT', 'SkippedBatches', 'allow_globals', 'is_compiling',
    'is_exporting', 'plain_attention', 'prepare_tracing',
]


def is_exporting() -> bool:
    """Whether the call becomes a graph that is to hold for images of any size."""
    return torch.jit.is_tracing() or (HAS_TORCH_EXPORT and torch.compiler.is_exporting())


def allow_globals(names: list) -> AbstractContextManager:
    """Adds types and functions to what PyTorch takes for data, where it can be told.

    Args:
        names: What may stand in a checkpoint, with the names by which it may, where they differ.
    """
    return torch.serialization.safe_globals(names) if HAS_SAFE_GLOBALS else nullcontext()


def plain_attention() -> AbstractContextManager:
    """Takes PyTorch's fused attention apart into matrix products, by a public way since 2.3."""
    attention = getattr(torch.nn, 'attention', None)
    if hasattr(attention, 'sdpa_kernel'):
        return attention.sdpa_kernel(attention.SDPBackend.MATH)
    return torch.backends.cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False)


def prepare_tracing() -> None:
    """Tells the ONNX exporter that traces what it lacks: transposed matrices."""
    from torch.onnx.symbolic_opset9 import transpose
    torch.onnx.register_custom_op_symbolic('aten::mT', lambda g, x: transpose(g, x, -2, -1), 9)


class SkippedBatches:
    """Batches for a loop that is about to skip those which it has seen, without loading them.

    On resuming, mmengine 0.10.12 calls ``skip_iter``, and 0.10.7 draws each batch that it skips.

    Args:
        skipped: How many the loop is going to skip.
        batches: What comes after them.
    """

    def __init__(self, skipped: int, batches: Iterator) -> None:
        self.batches = chain(repeat(None, skipped), batches)

    def skip_iter(self, num_iters: int) -> None:
        """Skips."""
        for _ in range(num_iters):
            next(self)

    def __next__(self) -> Any:
        return next(self.batches)
