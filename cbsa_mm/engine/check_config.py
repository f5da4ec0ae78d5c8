"""Checks the types in a config, their arguments and some values, before anything is built."""
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from inspect import getmro, isclass, signature
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.logging import print_log

from cbsa_mm.errors import UserError

# What the Runner and OpenMMLab's models build: path patterns, and the registries of the types
# there. Other dicts are not checked, since they may be used differently, such as norm_cfg, which
# is not passed to the layer as a whole.
LOADER = r'(train|val|test)_dataloader'
PLACES = {
    rf'{LOADER}\.(batch_)?sampler': ('DATA_SAMPLERS', ),
    rf'{LOADER}\.dataset(\.dataset|\.datasets\.\d+)*': ('DATASETS', ),
    rf'({LOADER}\..*\.pipeline|tta_pipeline)(\.transforms|\.\d+)*\.\d+': ('TRANSFORMS', ),
    r'(val|test)_evaluator(\.metrics)?(\.\d+)?': ('METRICS', 'EVALUATOR'),
    r'(tta_)?model|(.*\.)?(data_preprocessor|(attn|ffn)_cfg(\.\d+)?)': ('MODELS', ),
    r'model\.(.*\.)?(module|backbone|neck|(\w+_)?head|loss(_decode)?)(\.\d+)?': ('MODELS', ),
    r'(train|val|test)_cfg': ('LOOPS', ),
    r'optim_wrapper\.optimizer': ('OPTIMIZERS', ),
    r'param_scheduler(\.\w+)*': ('PARAM_SCHEDULERS', ),
    r'default_hooks\.\w+|custom_hooks\.\d+': ('HOOKS', ),
    r'visualizer': ('VISUALIZERS', ),
    r'(visualizer\.)?vis_backends\.\d+': ('VISBACKENDS', ),
}
# Keys that are not passed as arguments.
OWN_KEYS = {'type', '_scope_', 'convert_to_iter_based', 'priority'}
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
    """Checks that a config's types exist and accept their arguments, and some values.

    Args:
        cfg: The config. The modules of its ``default_scope`` are imported.

    Raises:
        UserError: If a type or an argument is unknown, or a value is impossible. The message names
            its key and suggests a correction.
    """
    default_scope = cfg.get('default_scope', 'mmengine')
    # What is inherited by package name is looked up in the innermost scope.
    with registry.DefaultScope.overwrite_default_scope(default_scope):
        for path, value, scope in _walk(cfg.to_dict(), default_scope):
            for pattern, (allowed, test) in VALUES.items():
                if re.fullmatch(pattern, path) and not test(value):
                    raise UserError(f'{path}={value!r} should be {allowed}')
            for pattern, registries in PLACES.items():
                if re.fullmatch(pattern, path) and isinstance(value, dict) and 'type' in value:
                    _check(path, value, registries, scope)


def _walk(part: dict | list, scope: str, path: str = '') -> Iterator[tuple[str, Any, str]]:
    """All values in a config, with their paths and the scopes they are built in."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        inner = value.get('_scope_', scope) if isinstance(value, dict) else scope
        yield f'{path}{key}', value, inner
        if isinstance(value, dict) and value.get('type') == 'Albu':
            continue  # its transforms are from another library
        if isinstance(value, dict | list | tuple):
            yield from _walk(value, inner, f'{path}{key}.')


def _check(path: str, part: dict, registries: tuple[str, ...], scope: str) -> None:
    build = part['type']
    if isinstance(build, str):
        build = _find(f'{path}.type', build, registries, scope)
    names, complete = _arguments(build)
    for key in [key for key in part if key not in names | OWN_KEYS]:
        advice = suggest(key, names, 0.6 if complete else 0.8)
        if complete or advice:
            name = getattr(build, '__name__', build)
            raise UserError(f'{path}.{key}: {name} has no such argument{advice}. It takes '
                            f'{", ".join(sorted(names)) or "none"}')


def _find(path: str, name: str, registries: tuple[str, ...], scope: str) -> Callable:
    """The class or function of a type."""
    names = []
    for root in registries:
        with getattr(registry, root).switch_scope_and_registry(scope) as found:
            try:
                build = found.get(name)
            except RuntimeError:  # from mmengine, for a name with dots
                build = None
            if build is not None:
                return build
            while found:
                names += found.module_dict
                found = found.parent
    raise UserError(f'{path}: {scope} has no {name}{suggest(name, names)}. Register your own '
                    'modules with custom_imports=dict(imports=[MODULE])')


def _arguments(build: Callable) -> tuple[set[str], bool]:
    """The arguments of a class or function, and whether it takes no others."""
    names, complete = set(), False
    functions = [cls.__init__ for cls in getmro(build)[:-1]] if isclass(build) else [build]
    for function in functions:
        try:
            parameters = signature(function).parameters.values()
        except ValueError:  # Python cannot inspect it
            return names, False
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        complete = not any(p.kind == p.VAR_KEYWORD for p in parameters)
        if complete:
            break
    return names - {'self'}, complete and function is functions[0]


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
