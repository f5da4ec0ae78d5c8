"""Errors that a user can fix."""
from collections.abc import Iterator
from contextlib import contextmanager
from unicodedata import category


class UserError(ValueError):
    """A mistake in a command, config or data; command-line tools print only its message."""


class DataError(UserError):
    """A bad file in a data set; there may be more."""


def printable(text: str) -> str:
    """Escapes the characters by which text from a file could control a terminal."""
    return ''.join(ascii(c)[1:-1] if category(c) == 'Cc' and c not in '\n\t' else c for c in text)


@contextmanager
def building(part: str) -> Iterator[None]:
    """Turns errors that libraries raise while building a config into a :class:`UserError`.

    Args:
        part: The part of the config, for the message.
    """
    try:
        yield
    except UserError:
        raise
    except (AssertionError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        message = ' '.join(str(error).split())
        if isinstance(error, KeyError) and 'registry' not in message:
            raise  # a bug, like every TypeError but these two:
        if isinstance(error, TypeError) and '__init__() missing' not in message \
                and '__init__() got an unexpected' not in message:
            raise
        if message == 'need at least one array to concatenate':  # mmengine's, of an empty data set
            message = 'it has no images: check its data_root, data_prefix, suffixes and lists'
        raise UserError(f'{part}: {message}') from error
