import pytest

from cbsa_mm.errors import UserError, building


@pytest.mark.parametrize('error, message', [
    (ValueError('num_heads=3 does not\n  divide embed_dims=10'),
     'model: num_heads=3 does not divide embed_dims=10'),
    (FileNotFoundError(2, 'No such file', 'a.txt'), r"model: \[Errno 2\] No such file: 'a.txt'"),
    (ValueError('need at least one array to concatenate'), 'model: it has no images: check its'),
    (TypeError("'<=' not supported"), r"model: '<=' not .* .TypeError in tests/test_errors.py"),
    (AssertionError(), r'model: raise error .AssertionError in tests/test_errors.py, line'),
])
def test_what_cannot_be_built(error, message):
    with pytest.raises(UserError, match=f'^{message}') as raised, building('model'):
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize('error', [UserError('a mistake'), KeyboardInterrupt()])
def test_clear_messages_stay_as_they_are(error):
    with pytest.raises(type(error)) as raised, building('model'):
        raise error
    assert raised.value is error
