"""Private attributes of other libraries: the table in cbsa_mm/compat.py has them all."""
import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from pages import ROOT

from cbsa_mm import compat

TABLE = re.findall(r'^``(\w+)``  ', compat.__doc__, re.MULTILINE)


def is_private(name: str) -> bool:
    return name.startswith('_') and name.strip('_') != '' and not name.endswith('__')


def defined(tree: ast.AST) -> set[str]:
    """Private names that a module, or its classes and their instances, have of their own."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and \
                ast.unparse(node.value) == 'self':
            names.add(node.attr)
    return names


def foreign_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines and private names that are used and not defined in the same file."""
    own = defined(tree)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split('.')]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or '').split('.'), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
                'getattr', 'setattr', 'hasattr', 'delattr'):
            names = [node.args[1].value] if isinstance(node.args[1], ast.Constant) else []
        yield from ((node.lineno, name) for name in names if is_private(name) and name not in own)


def overridden_names(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines and private names that classes override in those of other libraries."""
    for node in tree.body:
        members = [member for member in getattr(node, 'body', ())
                   if isinstance(node, ast.ClassDef) and node.bases
                   and is_private(getattr(member, 'name', ''))]
        if members:
            module = import_module('.'.join(path.relative_to(ROOT).with_suffix('').parts))
            foreign = [base for base in getattr(module, node.name).__mro__
                       if not base.__module__.startswith('cbsa_mm')]
            yield from ((member.lineno, member.name) for member in members
                        if any(member.name in vars(base) for base in foreign))


def find() -> dict[str, list[str]]:
    """Private names of other libraries, and where they are used."""
    places = {}
    for folder in ('cbsa_mm', 'tools', 'benchmarks'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            tree = ast.parse(path.read_text())
            for line, name in [*foreign_names(tree), *overridden_names(path, tree)]:
                places.setdefault(name, []).append(f'{path.relative_to(ROOT)}:{line}')
    return places


def test_the_table_is_complete():
    places = find()
    unknown = {name: where for name, where in places.items() if name not in TABLE}
    assert not unknown, 'not in the table of cbsa_mm/compat.py:\n' + '\n'.join(
        f'{name}: {", ".join(where)}' for name, where in unknown.items())
    assert set(TABLE) <= set(places), 'the table of cbsa_mm/compat.py has rows without a use'
    assert len(TABLE) <= 6


@pytest.mark.parametrize('line', [
    'registry._module_dict', 'self._modules', "getattr(model, '_config', None)",
    'import torch._dynamo', 'from torch._dynamo import reset', 'from torch.nn import _reduction'])
def test_private_names_are_found(line):
    assert list(foreign_names(ast.parse(line)))
    assert not list(foreign_names(ast.parse(line.replace('_', ''))))


def test_own_names_are_not_foreign():
    assert not list(foreign_names(ast.parse('''
class Loader:
    def _open(self):
        self._file = _read(self._file)

def _read(file):
    return Loader()._open()
''')))
