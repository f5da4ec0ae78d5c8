"""Contract-and-Broadcast Self-Attention for OpenMMLab.

Importing the package imports nothing else. Its classes register themselves once the library that
they build on is imported, before or after this package. ``cbsa_mm.layers`` needs only PyTorch.
"""
from importlib import import_module
from pathlib import Path
from types import ModuleType

from wrapt import when_imported

from .version import __version__

__all__ = ['__version__', 'config_path']

MIM = Path(__file__).parent / '.mim'  # configs, tools and the model index, where OpenMMLab looks
# The parts of this package that are imported along with each library.
PARTS = {
    'mmengine': ['registry', 'backbones', 'necks', 'datasets'],
    'mmengine.runner': [
        'engine', 'inference.timm_weights', 'inference.unpublished_weights'],
    'mmseg.models': ['decode_heads', 'segmentors'],
    'mmseg.datasets': ['datasets.augmentation', 'datasets.camvid'],
    'mmpretrain.apis': ['model_hub'],
    'mmpretrain.datasets': ['datasets.load_crop'],
}


def config_path(name: str = '') -> str:
    """Returns the path of a shipped config, to inherit from where ``cbsa_mm::`` is not known.

    For configs that are read before this package is imported, such as with mmseg's own
    ``tools/train.py``: ``_base_ = [__import__('cbsa_mm').config_path('cbt/cbt-s_ade20k.py')]``.

    Args:
        name: The config within the configs folder, such as 'cbt/cbt-s_ade20k.py'; if empty, the
            folder itself.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    path = MIM / 'configs' / name
    if not path.exists():
        raise FileNotFoundError(f'cbsa_mm has no config {name}: see {path.parent}')
    return str(path.resolve())


def import_parts(library: ModuleType) -> None:
    """Imports the parts that go with a library."""
    for part in PARTS[library.__name__]:
        import_module(f'{__name__}.{part}')


for library in PARTS:
    when_imported(library)(import_parts)
