"""Each part of the package imports from those below it alone."""
import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'cbsa_mm'
FLOORS = [
    {'engine'}, {'inference'}, {'decode_heads', 'backbones', 'necks', 'segmentors'}, {'interpret'},
    {'checkpoints'}, {'datasets'}, {'layers'},
    {'arguments', 'compat', 'errors', 'require', 'version'},
]


def imported(file):
    """The parts of the package that a module imports, at its top or within functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('cbsa_mm.'):
            yield node.module.split('.')[1]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            assert getattr(node, 'level', 0) < 2 and all(
                not name.name.startswith('cbsa_mm') for name in node.names), file


@pytest.mark.parametrize('height', range(len(FLOORS) - 1))
def test_imports_from_below(height):
    allowed = set().union(*FLOORS[height:])
    for part in FLOORS[height]:
        files = list((PACKAGE / part).glob('*.py'))
        assert files and all(name in allowed for file in files for name in imported(file))


def test_every_part_has_a_floor():
    parts = {folder.parent.name for folder in PACKAGE.glob('*/__init__.py')}
    assert parts == set().union(*FLOORS[:-1])
