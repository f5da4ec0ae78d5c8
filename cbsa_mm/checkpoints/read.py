"""Reads checkpoints as data: no code in a file is run unless the file is explicitly trusted."""
import os.path as osp
import re
import tarfile
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from mmap import ACCESS_READ
from mmap import mmap as map_file
from pathlib import Path
from pickle import UnpicklingError
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from cbsa_mm.compat import allow_globals
from cbsa_mm.errors import UserError, printable

STATE_DICT_KEYS = ('state_dict', 'model')
WEIGHT_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8,
                 torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
# Weights hardly compress: a file that unpacks to many times its size is made to fill the memory.
MAX_UNPACKED = 10  # times its size, and
MAX_SMALL = 2**24  # bytes, for files of zeros, say


def read_checkpoint(path: str | Path, map_location: Any = 'cpu', mmap: bool = False,
                    trust: bool = False) -> dict:
    """Reads a PyTorch, safetensors or NumPy (.npz) file, recognised by content.

    Args:
        path: The file.
        map_location: Device of the tensors, as in :func:`torch.load`.
        mmap: Whether to load tensors from the file only when they are used. The file must not
            change until then.
        trust: Whether a PyTorch file may contain arbitrary objects; loading such a file may run
            code.

    Returns:
        The content: a state dict, or a dict that contains one.

    Raises:
        UserError: If the file does not exist, is empty, truncated or not a checkpoint, or is not
            trusted and contains more than tensors, plain values and mmengine's additions.
    """
    path = Path(osp.expanduser(path))
    if not osp.isfile(path):
        raise UserError(f'there is no checkpoint {path}')
    try:
        checkpoint = _read(path, map_location, mmap, trust)
    except UserError:
        raise
    except Exception as error:  # a damaged file can end its reader anywhere
        forbidden = re.search(r'(?:GLOBAL|class|operand|opcode) (\S+)', str(error))
        if isinstance(error, UnpicklingError) and forbidden and not trust:
            raise UserError(_refusal(path, forbidden[1])) from error
        raise UserError(f'{path} is not a checkpoint, or it is damaged ({_first_line(error)}). '
                        'Download it again and compare its size with the source') from error
    if not isinstance(checkpoint, Mapping):
        raise UserError(f'{path} contains a {type(checkpoint).__name__}, not a state dict or a '
                        'dict with one')
    return checkpoint


def find_state_dict(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Finds the state dict: under 'state_dict', under 'model', or the whole dict.

    Args:
        checkpoint: The content of a file.

    Raises:
        UserError: If there are no named tensors, a name has control characters, or some cannot
            be weights: complex, quantized, sparse, or larger than their data in the file.
    """
    keys = shorten(', '.join(map(str, list(checkpoint)[:8])) or 'none', 200)
    for key in STATE_DICT_KEYS:
        if key in checkpoint:
            checkpoint = checkpoint[key]
            break
    if not (isinstance(checkpoint, Mapping) and checkpoint
            and all(isinstance(name, str) and isinstance(value, Tensor)
                    for name, value in checkpoint.items())):
        raise UserError(f'there is no state dict, neither under {" or ".join(STATE_DICT_KEYS)} nor '
                        f'at the top level, whose keys are: {keys}')
    odd = [name for name, tensor in checkpoint.items() if not _holds_weights(tensor)]
    if odd:
        raise UserError(f'{len(odd)} tensor{"s" * (len(odd) > 1)} that cannot be weights '
                        f'(complex, quantized, sparse, without data): {", ".join(odd[:3])}')
    odd = [name for name in checkpoint if name != printable(name)]
    if odd:
        raise UserError('names of tensors with control characters: '
                        f'{", ".join(map(repr, odd[:3]))}')
    return dict(checkpoint)


def _holds_weights(tensor: Tensor) -> bool:
    """Whether it is plain and complete; with stride 0 it could claim any size."""
    return (tensor.layout == torch.strided and tensor.dtype in WEIGHT_DTYPES and not tensor.is_meta
            and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes())


def _read(path: Path, map_location: Any, mmap: bool, trust: bool) -> Any:
    kind = _kind(path)
    if kind == 'safetensors':
        return load_file(path, device=str(map_location or 'cpu'))
    if kind == 'npz':
        with np.load(path, allow_pickle=False) as arrays:
            return {name: _tensor(arrays[name]).to(map_location) for name in arrays}
    if not trust and _asks_for_memory(path, kind):
        raise UserError(_refusal(path, 'builtins.bytearray'))
    with _allow_training_data():
        return torch.load(str(path), map_location=map_location, weights_only=not trust,
                          mmap=mmap and kind == 'zip')


def _tensor(array: np.ndarray) -> Tensor:
    """NumPy has no bfloat16 and stores JAX's as two bytes without a meaning."""
    if array.dtype == 'V2':
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _asks_for_memory(path: Path, kind: str) -> bool:
    """Whether a pickle names bytearray, by which a few bytes make any number of zeros.

    PyTorch allows it. The name is a line of its own, or behind its length.
    """
    with open(path, 'rb') as file, map_file(file.fileno(), 0, access=ACCESS_READ) as content:
        pickles = [content]
        if kind == 'zip':
            with zipfile.ZipFile(file) as archive:
                pickles = [archive.read(name) for name in archive.namelist()
                           if name.endswith('/data.pkl')]
        return any(pickle.find(before + b'bytearray') >= 0
                   for pickle in pickles for before in (b'\n', b'\t', b'\0'))


def _allow_training_data() -> AbstractContextManager:
    """Also allows NumPy's plain values and mmengine's log histories."""
    array = np.zeros(1)
    functions = [array.__reduce__()[0], array[0].__reduce__()[0]]
    names = [f'numpy.{core}.multiarray.{function}'
             for core in ('core', '_core') for function in ('_reconstruct', 'scalar')]
    allowed = [*zip(2 * functions, names), *{type(np.dtype(code)) for code in '?bBhHiIlLqQefd'},
               np.dtype, np.ndarray]
    with suppress(ImportError):
        from mmengine.logging import HistoryBuffer
        allowed += [HistoryBuffer, (_statistic, 'builtins.getattr')]
    return allow_globals(allowed)


def _statistic(owner: type, name: str) -> Any:
    """Replaces getattr, with which log histories refer to their methods."""
    from mmengine.logging import HistoryBuffer
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise UnpicklingError('GLOBAL builtins.getattr')
    return getattr(owner, name)


def _kind(path: Path) -> str:
    """Recognises 'zip' and 'legacy' (both PyTorch's), 'npz' and 'safetensors' by content."""
    size = path.stat().st_size
    with open(path, 'rb') as file:
        head = file.read(512)
    if not size:
        raise UserError(f'{path} is empty. Download it again')
    if head.lstrip().lower().startswith((b'<!doctype', b'<html', b'<?xml')):
        raise UserError(f'{path} is a web page, not a checkpoint: the server returned a page, '
                        'such as a warning or a login. Download the file with a browser')
    if head.startswith(b'version https://git-lfs'):
        raise UserError(f'{path} is a Git LFS pointer, not the file itself: run git lfs pull')
    if head.startswith(b'PK'):
        return _kind_of_zip(path)
    if head[8:9] == b'{':
        length = int.from_bytes(head[:8], 'little')
        if length < size:
            return 'safetensors'
        if length < 100_000_000:  # the format's own limit
            raise UserError(_cut_off(path))
    # PyTorch would unpack a tar file too.
    if head.startswith(b'\x1f\x8b') or tarfile.is_tarfile(path):
        raise UserError(_archive(path))
    if not head.startswith(b'\x80'):  # the start of a pickle
        raise UserError(f'{path} is not a checkpoint: neither a PyTorch file (.pth, .pt, .pth.tar) '
                        'nor safetensors nor .npz')
    return 'legacy'


def _kind_of_zip(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        raise UserError(_cut_off(path))
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MAX_SMALL + MAX_UNPACKED * path.stat().st_size:
        raise UserError(f'{path} is rejected: it would unpack to {unpacked / 2**20:,.0f} MiB, many '
                        'times its size, unlike weights')
    # PyTorch before 2.6 runs these even with weights_only (CVE-2025-32434).
    if any(osp.basename(name) == 'constants.pkl' for name in names):
        raise UserError(f'{path} is a TorchScript program, not weights. Get a file with only the '
                        'weights')
    if any(name.endswith('/data.pkl') for name in names):
        return 'zip'
    if names and all(name.endswith('.npy') for name in names):
        return 'npz'
    raise UserError(_archive(path))


def _archive(path: Path) -> str:
    return f'{path} is an archive, not a checkpoint. Unpack it, and use the file in it'


def _cut_off(path: Path) -> str:
    return (f'{path} is truncated: its end is missing. Download it again and compare its size with '
            'the source')


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def _refusal(path: Path, what: str) -> str:
    """Says why a file was not loaded, and what to do."""
    return (f'{path} was rejected, and no code in it was run: it contains more than tensors and '
            f'plain values ({what}), and loading such a file may run code on this machine. Get a '
            'file with only the weights; or, if you trust its source as you would trust a program, '
            'load it anyway with --trust-checkpoint (trust=True in code)')
