"""Checks what nothing that is built from a config would refuse in time."""
import logging
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from cbsa_mm.errors import UserError

# Values by path patterns, and what is allowed there.
VALUES = {
    r'model|optim_wrapper|(train|val|test)_(dataloader|cfg)': (
        'a dict', lambda value: isinstance(value, dict | None)),
    r'(.*\.)?(crop_size|img_size|patch_size|scale|size|stride)': (
        'above 0', lambda value: all(
            side != 0 or side is False
            for side in (value if isinstance(value, list | tuple) else [value]))),
    r'model\.data_preprocessor': ('a dict', lambda value: isinstance(value, dict)),
    r'param_scheduler': ('a dict or a list', lambda value: isinstance(value, dict | list | None)),
    r'load_from|work_dir': ('text', lambda value: isinstance(value, str | None)),
    r'default_hooks\.\w+\.(interval|max_keep_ckpts)': (
        'a whole number', lambda value: isinstance(value, int)),
    r'train_cfg\.(max_iters|max_epochs|val_interval)': (
        'a whole number of at least 1', lambda value: isinstance(value, int) and value >= 1),
    r'optim_wrapper\.(clip_grad\.(max_norm|clip_value)|optimizer\.(lr|weight_decay))': (
        'a number', lambda value: isinstance(value, int | float)),
    r'randomness\.seed': ('a whole number of at least 0', lambda value: value is None
                          or isinstance(value, int) and value >= 0),
    r'log_level': ('DEBUG, INFO, WARNING, ERROR or CRITICAL', lambda value: value in (
        'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
}


def check_config(cfg: Config) -> None:
    """Checks values that would fail late, or silently do nothing.

    Raises:
        UserError: If one is impossible. The message names its key.
    """
    for path, value in _walk(cfg.to_dict()):
        for pattern, (allowed, test) in VALUES.items():
            if re.fullmatch(pattern, path) and not test(value):
                raise UserError(f'{path}={value!r} should be {allowed}')


def _walk(part: dict | list, path: str = '') -> Iterator[tuple[str, Any]]:
    """All values in a config, with their paths."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        yield path + str(key), value
        if isinstance(value, dict | list | tuple):
            yield from _walk(value, f'{path}{key}.')


def check_schedules(cfg: Config) -> None:
    """Warns of learning rates that do not end when the training does.

    Args:
        cfg: A config for training.
    """
    loop, schedules = cfg.train_cfg, cfg.get('param_scheduler') or []
    unit = 'max_epochs' if 'max_epochs' in loop else 'max_iters'
    ends = [end for schedule in ([schedules] if isinstance(schedules, dict) else schedules)
            if schedule.get('by_epoch', True) == (unit == 'max_epochs')
            for end in map(schedule.get, ('end', 'T_max', 'total')) if isinstance(end, int)]
    last = max(ends, default=None)
    if last and loop.get(unit) not in (None, last, last - 1):
        print_log(f'train_cfg.{unit}={loop[unit]}, but param_scheduler is for {last}, so the '
                  'learning rate does not end as intended: set them to the same length',
                  'current', logging.WARNING)


def suggest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """Suggests a name close to a misspelt one; '' if there is none."""
    close = get_close_matches(name, names, 1, cutoff)
    return f' (did you mean {close[0]}?)' if close else ''
