"""The scope ``cbsa_mm`` of mmengine's registries.

mmengine enters it when a config inherits from ``cbsa_mm::``. The scope is empty and passes look-ups
to the enclosing scope.
"""
import sys

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import DefaultScope, Registry, root

# The table of packages whose configs can be inherited. For a submodule, mmengine finds the folder
# regardless of how the package is installed.
MODULE2PACKAGE['cbsa_mm'] = 'cbsa_mm.version'


class PassingRegistry(Registry):
    """A registry that passes look-ups to the enclosing scope."""

    def get(self, key: str) -> type | None:
        """Looks a class up by name."""
        for scope in scopes_around():
            with self.parent.switch_scope_and_registry(scope) as registry:
                found = registry.get(key)
            if found is not None:
                return found
        return self.parent.get(key)


def scopes_around() -> list[str]:
    """The scope entered before ``cbsa_mm``; if there is none, the imported libraries."""
    entered = [scope.scope_name for scope in DefaultScope._instance_dict.values()]
    around = [scope for scope in entered if scope != 'cbsa_mm']
    return around[-1:] or [name for name in ('mmseg', 'mmpretrain', 'mmdet')
                           if name in sys.modules]


for registry in vars(root).values():
    if isinstance(registry, Registry):
        PassingRegistry(registry.name, parent=registry, scope='cbsa_mm')
