import pytest

from cbsa_mm.errors import DataError, UserError, building


@pytest.mark.parametrize('error, message', [
    (ValueError('num_heads=3 does not\n  divide embed_dims=10'),
     'model: num_heads=3 does not divide embed_dims=10'),
    (AssertionError('pad must be an int'), 'model: pad must be an int'),
    (FileNotFoundError(2, 'No such file', 'a.txt'), r"model: \[Errno 2\] No such file: 'a.txt'"),
    (ValueError('need at least one array to concatenate'), 'model: it has no images: check its'),
    (KeyError('A is not in the mmseg::model registry'), 'model: .A is not in the mmseg::model reg'),
    (TypeError("A.__init__() missing 1 required positional argument: 'b'"), 'model: A.*missing 1'),
    (TypeError("A.__init__() got an unexpected keyword argument 'b'"), 'model: A.* got an unexpe'),
])
def test_what_libraries_refuse_to_build(error, message):
    with pytest.raises(UserError, match=f'^{message}'), building('model'):
        raise error


@pytest.mark.parametrize('error', [
    KeyError('a bug'), TypeError('a bug'), TypeError("f() got an unexpected keyword argument 'b'"),
    AttributeError('a bug'), IndexError('a bug'), UserError('a mistake'), DataError('a file')])
def test_bugs_and_clear_messages_stay_as_they_are(error):
    with pytest.raises(type(error)) as raised, building('model'):
        raise error
    assert raised.value is error
