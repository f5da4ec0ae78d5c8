"""Which errors are told in one message, and which keep their traceback."""

import pytest
from mmengine.config import Config
from mmengine.registry import Registry
from torch import nn

from cbsa_mm.engine import explain
from cbsa_mm.errors import DataError, UserError
from cbsa_mm.layers import CBSA

PARTS = Registry('parts', scope='parts', locations=[__name__])


@PARTS.register_module()
class Part:
    """Calls something, or builds another part, while it is built."""

    def __init__(self, size, call=None, inner=None):
        self.inner = PARTS.build(inner) if inner else call and call()


def fail(error):
    raise error


def told(**part):
    """What is said of the error with which building a config's part ends."""
    cfg = Config(dict(first=[dict(type='Part', size=0)], parts=[dict(type='Part', size=1), part]))
    try:
        PARTS.build(cfg.parts[1])
    except Exception as error:
        return explain(error)


@pytest.mark.parametrize('part, message', [
    (dict(type='Part', sice=3),
     'parts.1.sice: Part has no such argument (did you mean size?). It takes call, inner, size'),
    (dict(type='Part'), "parts.1: Part.__init__() missing 1 required positional argument: 'size'"),
    (dict(type='Prat', size=3), 'parts.1.type: parts knows no Prat (did you mean Part?). A '
     'module of your own becomes known by custom_imports=dict(imports=[MODULE])'),
    (dict(type='Part', size=2, inner=dict(type='Part', sice=3)),
     'parts.1.inner.sice: Part has no such argument (did you mean size?). It takes call, inner, '
     'size'),
])
def test_misspelt_parts(part, message):
    assert told(**part) == message


@pytest.mark.parametrize('call, message', [
    (lambda: CBSA(10, 3), 'parts.1: num_heads=3 does not divide embed_dims=10; choose another '
     'number of heads or give head_dims'),
    (lambda: nn.MultiheadAttention(10, 3), 'parts.1: embed_dim must be divisible by num_heads'),
    (lambda: fail(UserError('a mistake')), 'parts.1: a mistake'),
    (lambda: fail(FileNotFoundError(2, 'No such file', 'a.txt')),
     "parts.1: can't read a.txt (No such file)"),
])
def test_values_that_a_part_refuses(call, message):
    assert told(type='Part', size=1, call=call) == message


@pytest.mark.parametrize('error', [
    KeyError('a bug'), TypeError('a bug'), ValueError('a bug'), RuntimeError('a bug'),
    AssertionError('a bug'), TypeError("f() got an unexpected keyword argument 'a_bug'"),
    TypeError("f() got an unexpected keyword argument 'size'")])
def test_bugs_keep_their_traceback(error):
    assert told(type='Part', size=1, call=lambda: fail(error)) is None
    with pytest.raises(type(error)) as raised:
        fail(error)
    assert explain(raised.value) is None


def test_files_at_fault_are_not_alone():
    assert explain(DataError('image a.jpg is empty')) == (
        'image a.jpg is empty. All such files: python -m cbsa_mm check_data CONFIG')
