"""Compatibility with both sets of OpenMMLab distributions.

The onedl set uses current PyTorch and mmengine 0.10.12; the original one PyTorch 2.1 and mmengine
0.10.7. Nothing else in the package checks versions.

All private attributes of other libraries that the package uses, since there is no public way:

=========================  ========================  ===============================================
attribute                  seen in                   reason
=========================  ========================  ===============================================
``_dynamo``                PyTorch 2.1               has the only check for ``torch.compile``
``_load_from_state_dict``  PyTorch 2.1 and 2.14      the pre-hook of loading is not public in 2.1
``_instance_dict``         mmengine 0.10.7, 0.10.12  ``DefaultScope`` shows the innermost scope,
                                                     not the one around it
``_ParamScheduler``        mmengine 0.10.7, 0.10.12  the base class of schedules, and
``_get_value``             the same                  the method that returns their values
``_transform_inputs``      mmseg 1.2.2, 1.4.2        mmseg's documented way to select a head's input
=========================  ========================  ===============================================
"""
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, repeat
from typing import Any

import torch

# In PyTorch 2.1, the check for torch.compile is in a private module.
if hasattr(torch.compiler, 'is_compiling'):
    from torch.compiler import is_compiling
else:
    from torch._dynamo import is_compiling

# torch.export was a prototype before PyTorch 2.7; until then, ONNX files are made by tracing.
HAS_TORCH_EXPORT = hasattr(torch.compiler, 'is_exporting')

# Before PyTorch 2.6, no further types can be allowed in checkpoints.
HAS_SAFE_GLOBALS = hasattr(torch.serialization, 'safe_globals') and torch.__version__ >= '2.6'

__all__ = [
    'HAS_SAFE_GLOBALS', 'HAS_TORCH_EXPORT', 'SkippedBatches', 'allow_globals', 'is_compiling',
    'is_exporting', 'plain_attention', 'prepare_tracing',
]


def is_exporting() -> bool:
    """Whether the call is being exported to a graph for images of any size."""
    return torch.jit.is_tracing() or (HAS_TORCH_EXPORT and torch.compiler.is_exporting())


def allow_globals(names: list) -> AbstractContextManager:
    """Allows types and functions in checkpoints, if PyTorch supports it.

    Args:
        names: Types and functions, or pairs with the name used in the checkpoint if it differs.
    """
    return torch.serialization.safe_globals(names) if HAS_SAFE_GLOBALS else nullcontext()


def plain_attention() -> AbstractContextManager:
    """Splits PyTorch's fused attention into matrix products; the first way needs PyTorch 2.3."""
    attention = getattr(torch.nn, 'attention', None)
    if hasattr(attention, 'sdpa_kernel'):
        return attention.sdpa_kernel(attention.SDPBackend.MATH)
    return torch.backends.cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False)


def prepare_tracing() -> None:
    """Adds transposed matrices, which the tracing ONNX exporter lacks."""
    from torch.onnx.symbolic_opset9 import transpose
    torch.onnx.register_custom_op_symbolic('aten::mT', lambda g, x: transpose(g, x, -2, -1), 9)


class SkippedBatches:
    """Batches for a resuming loop, which skips seen batches without loading them.

    On resuming, mmengine 0.10.12 calls ``skip_iter``, and 0.10.7 draws each batch that it skips.

    Args:
        skipped: Number of batches that the loop will skip.
        batches: The batches after them.
    """

    def __init__(self, skipped: int, batches: Iterator) -> None:
        self.batches = chain(repeat(None, skipped), batches)

    def skip_iter(self, num_iters: int) -> None:
        """Skips."""
        for _ in range(num_iters):
            next(self)

    def __next__(self) -> Any:
        return next(self.batches)
