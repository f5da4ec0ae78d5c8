"""Writes files atomically."""
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from cbsa_mm.errors import UserError


def write_whole(path: str | Path, write: Callable[[Path], object]) -> None:
    """Writes a file under another name first, so that ``path`` is never incomplete.

    Args:
        path: The file to write or replace.
        write: Writes to the path it is given.

    Raises:
        UserError: If it cannot be written.
    """
    path = Path(path)
    # In the same folder, so that renaming is atomic; with the same suffix, which some writers
    # depend on; with a fixed name, so that leftovers of a killed process are overwritten.
    half = path.parent / f'.{path.stem}.half{path.suffix}'
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(half)
        with open(half, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(half, path)
    except OSError as error:
        raise UserError(f"can't write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            half.unlink()


def write_checkpoint(path: str | Path, checkpoint: dict) -> None:
    """Writes a checkpoint atomically: safetensors or .npz by suffix, otherwise PyTorch's format.

    Args:
        path: The file to write or replace.
        checkpoint: A dict with a state dict; a flat state dict for safetensors and .npz.

    Raises:
        UserError: If it cannot be written.
    """
    suffix = Path(path).suffix
    if suffix == '.safetensors':
        # It rejects other memory layouts, such as the stem's channels last.
        tensors = {name: tensor.contiguous() for name, tensor in checkpoint.items()}
        write_whole(path, lambda file: file.write_bytes(save(tensors)))
    elif suffix == '.npz':
        arrays = {name: tensor.numpy() for name, tensor in checkpoint.items()}
        write_whole(path, lambda file: np.savez(file, **arrays))
    else:
        write_whole(path, lambda file: _save(checkpoint, file))


def _save(checkpoint: dict, file: Path) -> None:
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:  # PyTorch's of a file that does not become as long as it should
        raise OSError('is the disk full?') from error
