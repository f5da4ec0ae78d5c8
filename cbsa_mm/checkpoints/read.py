"""Reading checkpoints as data: nothing in a file is ever run."""
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cbsa_mm.errors import UserError

STATE_DICT_KEYS = ('state_dict', 'model')


def read_checkpoint(path: str | Path, map_location: Any = 'cpu', mmap: bool = False) -> dict:
    """Reads a PyTorch, safetensors or NumPy (.npz) file, told apart by content.

    Args:
        path: The file.
        map_location: Where the tensors go, as in :func:`torch.load`.
        mmap: Whether to leave the tensors in the file until they are used. The file must then
            stay as it is.

    Returns:
        What the file holds: a state dict, or a dict around one.

    Raises:
        UserError: If there is no such file; if it is empty, cut off or no checkpoint; or if
            reading it would need more than tensors and plain values, which could run code.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'there is no checkpoint {path}')
    kind = _kind(path)
    try:
        if kind == 'safetensors':
            checkpoint = load_file(path, device=str(map_location or 'cpu'))
        elif kind == 'npz':
            with np.load(path, allow_pickle=False) as arrays:
                checkpoint = {k: torch.from_numpy(arrays[k]).to(map_location) for k in arrays}
        else:
            checkpoint = torch.load(
                str(path), map_location=map_location, weights_only=True,
                mmap=mmap and kind == 'zip')
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError,
            TypeError, AttributeError, IndexError, zipfile.BadZipFile, SafetensorError) as error:
        forbidden = re.search(r'(?:GLOBAL|class|operand|opcode) (\S+)', str(error))
        if isinstance(error, pickle.UnpicklingError) and forbidden:
            raise UserError(_refusal(path, forbidden[1])) from error
        raise UserError(f'{path} is no checkpoint, or a damaged one ({_first_line(error)}). '
                        'Download it again and compare its size with the source') from error
    if not isinstance(checkpoint, Mapping):
        raise UserError(f'{path} holds a {type(checkpoint).__name__}, not a state dict or a dict '
                        'around one')
    return checkpoint


def find_state_dict(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Finds the state dict: under 'state_dict', under 'model', or the whole.

    Args:
        checkpoint: What a file holds.

    Raises:
        UserError: If there are no tensors.
    """
    for key in STATE_DICT_KEYS:
        if isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
            break
    if not checkpoint or not all(isinstance(value, Tensor) for value in checkpoint.values()):
        keys = ', '.join(map(str, list(checkpoint)[:8])) or 'none'
        raise UserError(f'there is no state dict, neither under {" or ".join(STATE_DICT_KEYS)} nor '
                        f'as the whole file, whose keys are: {keys}')
    return dict(checkpoint)


def _kind(path: Path) -> str:
    """Tells 'zip' and 'legacy' (both PyTorch's), 'npz' and 'safetensors' by content."""
    size = path.stat().st_size
    with open(path, 'rb') as file:
        head = file.read(512)
    if not size:
        raise UserError(f'{path} is empty. Download it again')
    if head.lstrip().lower().startswith((b'<!doctype', b'<html', b'<?xml')):
        raise UserError(f'{path} is a web page, not a checkpoint: the server answered with a page, '
                        'such as a warning or a login. Download the file with a browser')
    if head.startswith(b'version https://git-lfs'):
        raise UserError(f'{path} is a Git LFS pointer, not the file itself: run git lfs pull')
    if head.startswith(b'PK'):
        if not zipfile.is_zipfile(path):
            raise UserError(_cut_off(path))
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith('/data.pkl') for name in names):
            return 'zip'
        if names and all(name.endswith('.npy') for name in names):
            return 'npz'
        raise UserError(f'{path} is an archive, not a checkpoint. Unpack it, and give the file in '
                        'it')
    if head[8:9] == b'{':
        length = int.from_bytes(head[:8], 'little')
        if length < size:
            return 'safetensors'
        if length < 100_000_000:  # the format's own limit
            raise UserError(_cut_off(path))
    if head.startswith(b'\x1f\x8b') or head[257:262] == b'ustar':
        raise UserError(f'{path} is an archive, not a checkpoint. Unpack it, and give the file in '
                        'it')
    if not head.startswith(b'\x80'):  # how a pickle starts
        raise UserError(f'{path} is not a checkpoint: neither a PyTorch file (.pth, .pt, .pth.tar) '
                        'nor safetensors nor .npz')
    return 'legacy'


def _cut_off(path: Path) -> str:
    return (f'{path} is cut off: its end is missing. Download it again and compare its size with '
            'the source')


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def _refusal(path: Path, what: str) -> str:
    """Says why a pickle was not loaded, and what to do."""
    return (f'{path} was refused, and nothing in it was run: it holds more than tensors and plain '
            f'values ({what}), and loading such a file may run code on this machine. Get a file '
            'with the weights alone; or, if you trust its source, load it by yourself with '
            'weights_only switched off, and torch.save its state dict')
