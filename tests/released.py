"""Numbers computed by the released code."""
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from cbsa_mm.checkpoints import Table

DATA = Path(__file__).parent / 'data'
# How far outputs, and gradients of unscaled losses, may be from float32's under autocast.
AUTOCAST_LIMITS = {torch.float16: (5e-3, 0.2), torch.bfloat16: (5e-2, 0.3)}
autocast_dtype = None  # set by conftest.py


def device() -> torch.device:
    """Where tensors are made by default."""
    return torch.empty(0).device


def read(name: str) -> dict[str, Tensor]:
    """Reads the tensors of tests/data/NAME.safetensors to the default device."""
    with safe_open(DATA / f'{name}.safetensors', framework='pt', device=str(device())) as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def pick(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def weights(name: str) -> dict[str, Tensor]:
    """The weights in tests/data/NAME.safetensors, by their released names."""
    return pick(read(name), 'weight.')


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    """Whether two state dicts have the same names and values."""
    return set(ours) == set(theirs) and all(torch.equal(ours[k], theirs[k]) for k in theirs)


def rename(tensors: dict[str, Tensor], table: Table) -> dict[str, Tensor]:
    """Puts released names into ours, of some or all tensors of a model."""
    return {table.rename(name, 'released'): tensor for name, tensor in tensors.items()}


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """|ours - theirs| / |theirs|, in the Euclidean norm."""
    return ((ours - theirs).norm() / theirs.norm()).item()


def agree(what: str, error: float | list[float], limit: float) -> None:
    """Asserts that an error, or the worst of several, is within its limit, and prints both."""
    worst = np.max(error)  # NaN if one is
    if autocast_dtype:
        limit = AUTOCAST_LIMITS[autocast_dtype][limit > 1e-5]
    print(f'\n{what}: {worst:.1e} (asserted: at most {limit:.0e})', end='')
    assert worst <= limit, what
