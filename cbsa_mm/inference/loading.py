"""Loads checkpoints from files and URLs as data."""
from collections.abc import Mapping
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.dist import barrier, get_local_rank
from mmengine.runner import CheckpointLoader

from cbsa_mm.checkpoints import find_state_dict, read_checkpoint
from cbsa_mm.errors import UserError, printable

# Prefixes, as patterns, for which mmengine has loaders; '' matches all others.
SCHEMES = ('', 'http://', 'https://', 'pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://',
           'modelzoo://', 'torchvision://', 'open-mmlab://', 'openmmlab://', 'mmcls://')


def use_safe_loading(trust: bool = False) -> None:
    """Makes mmengine load all checkpoints in this process with :func:`load_checkpoint`.

    By default it falls back to plain pickle, which may run code.

    Args:
        trust: Whether all checkpoints are trusted.
    """

    def load_from_data(filename: str, map_location: Any = None) -> dict:  # mmengine logs the name
        return load_checkpoint(filename, map_location, trust)

    CheckpointLoader.register_scheme(SCHEMES, load_from_data, force=True)


def load_checkpoint(filename: str | Path, map_location: Any = 'cpu', trust: bool = False) -> dict:
    """Loads weights and mmengine's additional data from a file or http(s) URL.

    Args:
        filename: The file or URL. Downloads are kept in PyTorch's hub folder, by URL.
        map_location: Device of the tensors, as in :func:`torch.load`.
        trust: Whether it may contain arbitrary objects; loading such a file may run code.

    Returns:
        A state dict, or a dict that contains one. Config text that mmengine would run is removed.

    Raises:
        UserError: If the checkpoint does not exist, has no weights, or is not
            trusted and contains more than data.
    """
    path = filename if '://' not in str(filename) else _download(str(filename), trust)
    checkpoint = read_checkpoint(path, map_location, trust=trust)
    try:
        find_state_dict(checkpoint)
        _check_meta(checkpoint.get('meta', {}))
    except UserError as error:
        raise UserError(f'{filename} was rejected: {error}') from error
    if not trust:
        checkpoint.get('meta', {}).pop('config', None)  # which mmengine runs on resuming
    if isinstance(checkpoint.get('model'), Mapping):
        checkpoint.setdefault('state_dict', checkpoint['model'])  # where mmengine expects it
    return checkpoint


def _check_meta(meta: Any) -> None:
    """Checks the names and colours of classes."""
    try:
        classes, palette = (meta.get('dataset_meta', {}).get(key) for key in ('classes', 'palette'))
        colours = np.asarray([] if palette is None else palette, float).reshape(-1, 3)
        valid = (all(name == printable(name) for name in classes or ())
                 and (not len(colours) or len(colours) >= len(classes or ())))
    except (AttributeError, TypeError, ValueError):
        valid = False
    if not valid:
        raise UserError('the names or colours of classes in its meta are malformed')


def _download(address: str, trust: bool) -> Path:
    """Downloads a checkpoint, unless it is there in whole, to a place of this address alone."""
    url = urlparse(address)
    if url.scheme not in ('http', 'https'):
        raise UserError(f'{address} is neither a file nor an http(s) URL: download it, and '
                        'use the file')
    folder = f'checkpoints/{sha256(address.encode()).hexdigest()[:16]}'
    path = Path(torch.hub.get_dir()) / folder / Path(url.path).name
    if get_local_rank() == 0 and not _is_readable(path, trust):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(address, str(path))
        except (OSError, HTTPException) as error:
            raise UserError(
                f"can't download weights from {address} ({getattr(error, 'reason', error)}). Use a "
                'local file; for a pretrained backbone, --cfg-options '
                'model.backbone.init_cfg.checkpoint=FILE') from error
    barrier()
    return path


def _is_readable(path: Path, trust: bool) -> bool:
    """Whether a download is there and not truncated."""
    try:
        read_checkpoint(path, mmap=True, trust=trust)
    except UserError:
        return False
    return True
