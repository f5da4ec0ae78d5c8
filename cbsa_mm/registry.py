"""What OpenMMLab is told by ``import cbsa_mm``: names of classes, configs and models.

Nothing is imported for it. Each library is told once it is imported, be it before or after this
package, and a class is imported when its name is first looked up.
"""
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from wrapt import when_imported

MIM = Path(__file__).parent / '.mim'  # where OpenMMLab looks for configs and the model index
# Where the classes are, by registry: in the root registries, which all libraries search,
ROOT = {
    'MODELS': {
        'cbsa_mm.backbones': ['AdaptedViT', 'CBT', 'PlainViT'],
        'cbsa_mm.backbones.attention': [
            'CBSA', 'MHSA', 'MSSA', 'TSSA', 'AdaptedMHSA', 'AgentAttention', 'LinearAttention'],
        'cbsa_mm.necks': ['SimpleFeaturePyramid'],
    },
    'DATASETS': {'cbsa_mm.datasets': ['ShapesDataset']},
    'TRANSFORMS': {'cbsa_mm.datasets': ['CheckClsLabels', 'CheckSegLabels']},
    'HOOKS': {'cbsa_mm.engine': [
        'ClassCountHook', 'CompressionHook', 'ExactResumeHook', 'NonFiniteGuardHook',
        'PlainCheckpointHook', 'StrictLoadHook']},
    'DATA_SAMPLERS': {'cbsa_mm.engine': ['SeededBatchSampler']},
    'PARAM_SCHEDULERS': {'cbsa_mm.engine': ['MinWarmupCosineLR']},
}
# and in mmseg's, as they derive from its classes.
MMSEG = {
    'MODELS': {'cbsa_mm.decode_heads': [
        'CBTMaskTransformerHead', 'DEPICTCAHead', 'DEPICTSAHead'],
        'cbsa_mm.segmentors': ['SlidingEncoderDecoder']},
    'DATASETS': {'cbsa_mm.datasets': ['CamVidDataset']},
}


class LazyModules(dict):
    """The content of a registry, to which names are added that are imported when looked up.

    mmengine's own way to import late, a registry's ``locations``, serves look-ups within one scope,
    but not those that come to a root registry from a library's.

    Args:
        modules: What the registry holds already.
        places: Modules by the names that are found in them.
    """

    def __init__(self, modules: dict, places: dict[str, str]) -> None:
        super().__init__(modules)
        self.places = places

    def __contains__(self, name: str) -> bool:
        return name in self.places or super().__contains__(name)

    def __missing__(self, name: str) -> type:
        self[name] = getattr(import_module(self.places[name]), name)
        return self[name]


def add_names(library: ModuleType, names: dict[str, dict[str, list[str]]]) -> None:
    """Adds names to a library's registries; once more does no harm.

    Args:
        library: The module with the registries.
        names: Names by the module that they are in, by registry.
    """
    for registry, modules in names.items():
        registry = getattr(library, registry)
        places = {name: module for module, names in modules.items() for name in names}
        if not isinstance(registry._module_dict, LazyModules):
            registry._module_dict = LazyModules(registry._module_dict, places)


def add_scope(library: ModuleType) -> None:
    """Adds the scope that mmengine writes into what is inherited from ``cbsa_mm::`` configs.

    Its registries find whatever the scope around them finds.
    """

    class PassingRegistry(library.Registry):

        def get(self, key: str) -> type | None:
            for scope in _scopes_around():
                with self.parent.switch_scope_and_registry(scope) as registry:
                    found = registry.get(key)
                if found is not None:
                    return found
            return self.parent.get(key)

    def _scopes_around() -> list[str]:
        """The scope that was entered before this one; without any, the libraries in use."""
        around = [scope.scope_name for scope in library.DefaultScope._instance_dict.values()
                  if scope.scope_name != 'cbsa_mm']
        return around[-1:] or [name for name in ('mmseg', 'mmpretrain', 'mmdet')
                               if name in sys.modules]

    for registry in vars(library.root).values():
        if isinstance(registry, library.Registry) and 'cbsa_mm' not in registry.children:
            PassingRegistry(registry.name, parent=registry, scope='cbsa_mm')


@when_imported('mmengine.registry')
def _(library: ModuleType) -> None:
    add_names(library, ROOT)
    add_scope(library)


@when_imported('mmseg.registry')
def _(library: ModuleType) -> None:
    add_names(library, MMSEG)


@when_imported('mmengine.config.utils')
def _(library: ModuleType) -> None:
    # The table of packages whose configs can be named. Of a submodule, mmengine finds the folder
    # however the package is installed.
    library.MODULE2PACKAGE['cbsa_mm'] = 'cbsa_mm.version'


@when_imported('mmpretrain.apis.model')
def _(library: ModuleType) -> None:
    if 'cbt-s_in1k' not in library.ModelHub._models_dict:
        for metafile in sorted(MIM.glob('configs/*/metafile-cls.yml')):
            library.ModelHub.register_model_index(metafile, config_prefix=MIM)
