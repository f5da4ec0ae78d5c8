"""Contract-and-Broadcast Self-Attention for OpenMMLab.

Importing the package makes its names known to the registries, and imports nothing: with mmengine
the CBT backbone, schedules, hooks and data sets are found, with mmseg also the mask-transformer
head, when a config asks for them. ``cbsa_mm.layers`` needs nothing but PyTorch.
"""
from . import registry
from .version import __version__


def config_path(name: str = '') -> str:
    """The path of a config of this package, to inherit from where ``cbsa_mm::`` is not known.

    In a config that a library reads before this package is imported, such as with mmseg's own
    ``tools/train.py``: ``_base_ = [__import__('cbsa_mm').config_path('cbt/cbt-s_ade20k.py')]``.

    Args:
        name: The config within the folder of configs, such as 'cbt/cbt-s_ade20k.py'; that folder
            if empty.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    path = registry.MIM / 'configs' / name
    if not path.exists():
        raise FileNotFoundError(f'cbsa_mm has no config {name}: see {path.parent}')
    return str(path.resolve())


__all__ = ['__version__', 'config_path']
