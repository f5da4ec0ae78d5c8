"""Checks the types in a config, and their arguments, before anything is built."""
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from inspect import Parameter, getmro, getsource, isclass, signature
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from torch.utils.data import DataLoader

from cbsa_mm.errors import UserError

# What the Runner and OpenMMLab's models build: path patterns, and the registries of the types
# there. Other dicts are not checked, since they may be used differently, such as norm_cfg, which
# is not passed to the layer as a whole.
LOADER = r'(train|val|test)_dataloader'
PLACES = {
    LOADER: (),
    rf'{LOADER}\.(batch_)?sampler': ('DATA_SAMPLERS', ),
    rf'{LOADER}\.dataset(\.dataset|\.datasets\.\d+)*': ('DATASETS', ),
    rf'({LOADER}\..*\.pipeline|tta_pipeline)(\.transforms|\.\d+)*\.\d+': ('TRANSFORMS', ),
    r'(val|test)_evaluator(\.metrics)?(\.\d+)?': ('METRICS', 'EVALUATOR'),
    r'(tta_)?model|(.*\.)?(data_preprocessor|attn_cfg(\.\d+)?)': ('MODELS', ),
    r'model\.(.*\.)?(module|backbone|neck|(\w+_)?head|loss(_decode)?)(\.\d+)?': ('MODELS', ),
    r'(train|val|test)_cfg': ('LOOPS', ),
    r'optim_wrapper': ('OPTIM_WRAPPERS', ),
    r'optim_wrapper\.optimizer': ('OPTIMIZERS', ),
    r'param_scheduler(\.\w+)*': ('PARAM_SCHEDULERS', ),
    r'default_hooks\.\w+|custom_hooks\.\d+': ('HOOKS', ),
    r'visualizer': ('VISUALIZERS', ),
    r'(visualizer\.)?vis_backends\.\d+': ('VISBACKENDS', ),
    r'log_processor': ('LOG_PROCESSORS', ),
}
# Default types.
DEFAULTS = dict(optim_wrapper='OptimWrapper', log_processor='LogProcessor')
DEFAULTS |= {f'{split}_dataloader': DataLoader for split in ('train', 'val', 'test')}
# Keys that are not passed as arguments.
OWN_KEYS = {'type', '_scope_', 'num_batch_per_epoch', 'paramwise_cfg', 'convert_to_iter_based',
            'priority'}
# Values that are not checked, or only once they are used: path patterns, and what is allowed there.
COUNT = 'a whole number of at least 1', lambda value: isinstance(value, int) and value >= 1
VALUES = {
    r'model|optim_wrapper|(train|val|test)_(dataloader|cfg)': (
        'a dict', lambda value: isinstance(value, dict | None)),
    r'(.*\.)?(crop_size|img_size|patch_size|scale|size|stride)': (
        'above 0', lambda value: all(
            side != 0 or side is False
            for side in (value if isinstance(value, list | tuple) else [value]))),
    r'train_cfg\.(max_iters|max_epochs|val_interval)': COUNT,
    rf'{LOADER}\.batch_size': COUNT,
    r'optim_wrapper\.clip_grad\.(max_norm|clip_value)': (
        'a number', lambda value: isinstance(value, int | float)),
    r'randomness\.seed': ('a whole number from 0 to 2**32 - 1',
                          lambda value: value is None or isinstance(value, int)
                          and 0 <= value < 2**32),
    r'log_level': ('DEBUG, INFO, WARNING, ERROR or CRITICAL', lambda value: isinstance(
        logging.getLevelName(value), int if isinstance(value, str) else str)),
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
        for path, part, scope in _walk(cfg.to_dict(), default_scope):
            for key, value in part.items():
                _check_value(f'{path}.{key}'.lstrip('.'), value)
            for pattern, registries in PLACES.items():
                if re.fullmatch(pattern, path):
                    _check(path, part, registries, scope)


def _check_value(path: str, value: Any) -> None:
    for pattern, (allowed, test) in VALUES.items():
        if re.fullmatch(pattern, path) and not test(value):
            raise UserError(f'{path}={value!r} should be {allowed}')


def _walk(value: Any, scope: str, path: str = '') -> Iterator[tuple[str, dict, str]]:
    """All dicts in a config, with their paths and the scopes they are built in."""
    if isinstance(value, dict):
        scope = value.get('_scope_', scope)
        yield path, value, scope
        if 'Albu' in str(value.get('type')):  # its transforms are from another library
            return
        items = value.items()
    else:
        items = enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        yield from _walk(item, scope, f'{path}.{key}'.lstrip('.'))


def _check(path: str, part: dict, registries: tuple[str, ...], scope: str) -> None:
    if 'constructor' in part:  # of an optimizer wrapper, which gets all other keys
        _find(f'{path}.constructor', part['constructor'], ('OPTIM_WRAPPER_CONSTRUCTORS', ), scope)
        return
    build = part.get('type', DEFAULTS.get(path))
    if isinstance(build, str):
        build = _find(f'{path}.type', build, registries, scope)
    if build is None:
        return
    names, complete = _arguments(build)
    for key in [key for key in part if key not in names | OWN_KEYS]:
        advice = suggest(key, names, 0.6 if complete else 0.85)
        if complete or advice:
            name = getattr(build, '__name__', build)
            raise UserError(f'{path}.{key}: {name} has no such argument{advice}. It takes '
                            f'{", ".join(sorted(names)) or "none"}')
    for key, value in part.items():
        if isinstance(value, str) and type(_default(build, key)) in (int, float):
            raise UserError(f'{path}.{key}={value!r} should be a number, such as '
                            f'{_default(build, key)}')


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
    """The arguments of a class or function, and whether they are complete.

    ``**kwargs`` are followed to the base classes, or from a function to the class
    that it returns, as far as they are passed on.
    """
    functions, cls, names = [], build, set()
    if not isclass(build):
        functions, cls = [build], getattr(build, '__annotations__', {}).get('return')
    bases = getmro(cls)[:-1] if isclass(cls) else ()  # without object
    functions += [vars(base)['__init__'] for base in bases if '__init__' in vars(base)]
    for function in functions:
        try:
            parameters = signature(function).parameters.values()
            names |= {p.name for p in parameters
                      if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)}
            rest = [p.name for p in parameters if p.kind is Parameter.VAR_KEYWORD]
            if not rest or cls is CheckpointHook:  # whose others would fail when it saves
                return names - {'self'}, True
            source = getsource(function)
        except (OSError, TypeError, ValueError):  # Python cannot inspect it
            return names - {'self'}, False
        names |= set(re.findall(rf'''\b{rest[0]}(?:\.\w+\(|\[)\s*['"](\w+)''', source))
        if not re.search(rf'(\.__init__|return \w+)\(([^()]|\([^()]*\))*\*\*{rest[0]}', source):
            return names - {'self'}, False
    return names - {'self'}, isclass(cls)


def _default(build: Callable, name: str) -> Any:
    """The default of an argument of a class, its bases or a function; None if it has none."""
    for owner in getmro(build) if isclass(build) else [build]:
        with suppress(TypeError, ValueError):  # Python cannot inspect it
            if name in (parameters := signature(owner).parameters):
                return parameters[name].default
    return None


def suggest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """Suggests a name close to a misspelt one; '' if there is none."""
    close = get_close_matches(name, names, 1, cutoff)
    return f' (did you mean {close[0]}?)' if close else ''
