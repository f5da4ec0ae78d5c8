"""Errors that a user can mend."""
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake in a command, a config or data; the command-line tools print its message alone."""


class DataError(UserError):
    """A file of a data set that is wrong; there may be more such files."""


@contextmanager
def building(part: str) -> Iterator[None]:
    """Makes a :class:`UserError` of what libraries raise while they build what a config says.

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
            raise  # a bug, as are all but these two:
        if isinstance(error, TypeError) and '__init__() missing' not in message \
                and '__init__() got an unexpected' not in message:
            raise
        if message == 'need at least one array to concatenate':  # mmengine's, of an empty data set
            message = 'it has no images: look at its data_root, data_prefix, suffixes and lists'
        raise UserError(f'{part}: {message}') from error
