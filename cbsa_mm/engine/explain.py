"""Errors of a user's making, told in one message that names the config's key and a remedy."""
import errno
import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from inspect import Parameter, getmro, signature
from traceback import walk_tb
from types import FrameType
from typing import Any
from urllib.error import URLError

from mmengine.config import Config
from mmengine.registry import build_from_cfg
from torch.utils.data import DataLoader

from cbsa_mm.errors import DataError, UserError
from cbsa_mm.require import MissingLibraryError

# What they raise on purpose, while they build what a config says.
DELIBERATE = dict.fromkeys(
    ('mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'mmdet'),
    AssertionError | RuntimeError | ValueError)
DELIBERATE['torch'] = AssertionError | ValueError

# What PyTorch says, in part, and what it means to a user.
PROCESS_ERRORS = {
    'by peer': 'another process of this run has ended; its own message tells why. Training goes on '
               'with --resume',
    'ddress already in use': 'the port at which the processes meet is taken, maybe by another run: '
                             'choose another, such as PORT=29501, for all of them',
}
FULL_DISK = errno.ENOSPC, errno.EDQUOT, errno.EFBIG


def explain(error: Exception) -> str | None:
    """Tells an error in one message, if the user can mend it.

    Args:
        error: What ended a program.

    Returns:
        The message; None for an error whose traceback tells more.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    builds = [frame.f_locals for frame in frames if frame.f_code is build_from_cfg.__code__]
    config = _find_config(frames)
    where = _find_part(config, builds)
    package = frames[-1].f_globals['__name__'].partition('.')[0] if frames else None
    if isinstance(error, UserError | MissingLibraryError):
        message = _own_message(error)
    elif isinstance(error, ValueError) and package == 'cbsa_mm':
        message = str(error)
    elif isinstance(error, URLError):
        message = _explain_download(error, where)
    elif isinstance(error, OSError) and error.errno in FULL_DISK:
        return (f"can't write {error.filename or 'the logs'}: {error.strerror}. Make room; "
                'training goes on with --resume')
    elif isinstance(error, RuntimeError) and (words := [w for w in PROCESS_ERRORS
                                                        if w in str(error)]):
        return PROCESS_ERRORS[words[0]]
    elif not where:
        return None
    elif isinstance(error, TypeError):
        called = frames[-1].f_code is build_from_cfg.__code__
        return _explain_arguments(error, where, builds[-1], config) or (
            f'{where}: {error}' if called else None)
    elif isinstance(error, KeyError) and builds[-1].get('obj_cls', '') is None:
        return _explain_type(where, builds[-1])
    elif isinstance(error, OSError) and error.filename:
        message = f"can't read {error.filename} ({error.strerror})"
    elif dataset := _empty_dataset(frames):
        message = dataset
    elif isinstance(error, DELIBERATE.get(package, ())):
        message = ' '.join(str(error).split())
    else:
        return None
    return f'{where}: {message}' if where and message else message or None


def _own_message(error: Exception) -> str:
    """The message of one of our errors, which may come from a data loader's worker."""
    message = str(error).strip()
    if 'Original Traceback' in message:  # the cause comes last, behind its class
        message = message.splitlines()[-1].partition(': ')[2]
    if isinstance(error, DataError):
        message += '. All such files: python -m cbsa_mm check_data CONFIG'
    return message


def _explain_download(error: URLError, where: str | None) -> str:
    if where and where.endswith('dataset'):
        return f"can't download the data set ({error.reason}). Put it into its data_root"
    return (f"can't download weights ({error.reason}). Give a local file; for a pretrained "
            'backbone, --cfg-options model.backbone.init_cfg.checkpoint=FILE')


def _explain_arguments(error: TypeError, where: str, build: dict,
                       config: Config | None) -> str | None:
    """An argument that a part does not take, if that is the error."""
    match = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if not match:
        return None
    name, takes = match[1], build['obj_cls']
    if name not in build['args']:  # a loop was being built, and its data loader within
        loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
        where = next((key for key in loaders if name in ((config or {}).get(key) or {})), None)
        takes = DataLoader
    names = sorted(_argument_names(takes))
    if where is None or name in names:  # a bug of the part
        return None
    return (f'{where}.{name}: {takes.__name__} has no such argument{suggest(name, names)}. '
            f'It takes {", ".join(names)}')


def _explain_type(where: str, build: dict) -> str:
    """A part of a type that no registry knows."""
    name, registry, names = build['obj_type'], build['registry'], []
    scope = registry.scope
    while registry:
        names += registry.module_dict
        registry = registry.parent
    return (f'{where}.type: {scope} knows no {name}{suggest(name, names)}. A module of your own '
            'becomes known by custom_imports=dict(imports=[MODULE])')


def _empty_dataset(frames: list[FrameType]) -> str | None:
    """What to say of a data set that found no images, on which mmengine stumbles."""
    for frame in frames:
        if frame.f_code.co_name == '_serialize_data' and not frame.f_locals['self'].data_list:
            dataset = frame.f_locals['self']
            if dataset.ann_file:
                return f'{dataset.ann_file} lists no images'
            suffix = getattr(dataset, 'img_suffix', None)
            return (f'there are no images {f"that end with {suffix} " if suffix else ""}in '
                    f'{dataset.data_prefix.get("img_path")}')
    return None


def _find_config(frames: list[FrameType]) -> Config | None:
    """The config that a program was at."""
    values = (value for frame in frames for value in frame.f_locals.values())
    return next((value for value in values if isinstance(value, Config)), None)


def _find_part(config: Config | None, builds: list[dict]) -> str | None:
    """Where a config has the innermost part that was being built; its type if it is not there."""
    for build in reversed(builds):
        given = list(build['cfg'].items())  # perhaps with further arguments from elsewhere
        paths = {path: len(part) for path, part in _walk(config)
                 if 'type' in part and all(item in given for item in part.items())}
        if paths:
            return max(paths, key=paths.get)
    return str(builds[-1]['cfg'].get('type')) if builds else None


def _walk(value: Any, path: str = '') -> Iterator[tuple[str, dict]]:
    """All dicts within a config, with their paths."""
    if isinstance(value, Config):
        value = value.to_dict()
    if isinstance(value, dict):
        yield path, value
        items = value.items()
    else:
        items = enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        yield from _walk(item, f'{path}.{key}'.lstrip('.'))


def _argument_names(build: Callable) -> set[str]:
    """The arguments that a class takes, with those that it passes on to its base classes."""
    if not isinstance(build, type):  # a function that returns an instance
        build = build.__annotations__.get('return', build)
    names = set()
    for cls in getmro(build) if isinstance(build, type) else [build]:
        function = vars(cls).get('__init__') if isinstance(cls, type) else cls
        parameters = signature(function).parameters.values() if function else []
        names |= {p.name for p in parameters
                  if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)}
        if function and all(p.kind is not Parameter.VAR_KEYWORD for p in parameters):
            break
    return names - {'self'}


def suggest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """Says which of some names is close to a misspelt one; '' if none is.

    Args:
        name: The misspelt name.
        names: What it may be meant to be.
        cutoff: How close that must be, as in :func:`difflib.get_close_matches`.
    """
    close = get_close_matches(name, names, 1, cutoff)
    return f' (did you mean {close[0]}?)' if close else ''
