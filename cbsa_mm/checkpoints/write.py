"""Writing files whole or not at all."""
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from cbsa_mm.errors import UserError


def write_whole(path: str | Path, write: Callable[[Path], object]) -> None:
    """Writes a file under another name first, so that ``path`` is never half a file.

    Args:
        path: The file to write or replace.
        write: Writes to the path that it is given.

    Raises:
        UserError: If it can't be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Same folder, so that the renaming is atomic; same ending, by which some writers go.
        handle, temporary = tempfile.mkstemp(suffix=path.suffix, prefix='.', dir=path.parent)
        os.close(handle)
        write(Path(temporary))
        os.chmod(temporary, 0o666 & ~_umask())  # not private, as temporary files are
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"can't write {path}: {error.strerror or error}") from error
    finally:
        if temporary:
            with suppress(FileNotFoundError):
                os.remove(temporary)


def write_checkpoint(path: str | Path, checkpoint: dict) -> None:
    """Writes a checkpoint whole: safetensors or .npz by the name's ending, else PyTorch's format.

    Args:
        path: The file to write or replace.
        checkpoint: A dict that holds a state dict; a flat state dict for safetensors and .npz.

    Raises:
        UserError: If it can't be written.
    """
    suffix = Path(path).suffix
    if suffix == '.safetensors':
        # It refuses other layouts, such as the stem's channels last.
        tensors = {name: tensor.contiguous() for name, tensor in checkpoint.items()}
        write_whole(path, lambda file: save_file(tensors, file))
    elif suffix == '.npz':
        arrays = {name: tensor.numpy() for name, tensor in checkpoint.items()}
        write_whole(path, lambda file: np.savez(file, **arrays))
    else:
        write_whole(path, lambda file: torch.save(checkpoint, file))


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
