"""Private attributes of other libraries: the table in cbsa_mm/compat.py has them all."""
import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from pages import ROOT

from cbsa_mm import compat

TABLE = re.findall(r'^``(\w+)``  ', compat.__doc__, re.MULTILINE)


def is_private(name: str) -> bool:
    return name.startswith('_') and name.strip('_') != '' and not name.endswith('__')


def own_names(tree: ast.Module) -> set[str]:
    """Names that a module, or its classes and their instances, have of their own."""
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


def used_names(tree: ast.Module) -> Iterator[str]:
    """Names of attributes, of what is imported, and of attributes that are told by a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split('.'))
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or '').split('.')
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith('attr'):
            yield from (arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant))


def overridden_names(path: Path, tree: ast.Module) -> Iterator[str]:
    """Private names that classes override in those of other libraries."""
    for node in tree.body:
        names = [member.name for member in getattr(node, 'body', ())
                 if isinstance(node, ast.ClassDef) and node.bases
                 and is_private(getattr(member, 'name', ''))]
        if names:
            module = import_module('.'.join(path.relative_to(ROOT).with_suffix('').parts))
            foreign = [base for base in getattr(module, node.name).__mro__
                       if not base.__module__.startswith('cbsa_mm')]
            yield from (name for name in names if any(name in vars(base) for base in foreign))


def test_the_table_is_complete():
    places = {}
    for folder in ('cbsa_mm', 'tools', 'benchmarks'):
        for path in (ROOT / folder).rglob('*.py'):
            tree = ast.parse(path.read_text())
            foreign = {name for name in used_names(tree) if is_private(name)} - own_names(tree)
            for name in {*foreign, *overridden_names(path, tree)}:
                places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert set(places) == set(TABLE), f'these are used: {places}'
    assert len(TABLE) <= 6
