"""Whether a call is being recorded."""
import torch

if hasattr(torch.compiler, 'is_compiling'):
    from torch.compiler import is_compiling
else:  # PyTorch 2.1
    from torch._dynamo import is_compiling

__all__ = ['is_compiling', 'is_exporting']


def is_exporting() -> bool:
    """Whether the call becomes a graph that is to hold for images of any size."""
    if torch.jit.is_tracing():
        return True
    return hasattr(torch.compiler, 'is_exporting') and torch.compiler.is_exporting()
