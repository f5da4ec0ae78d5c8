"""Errors that a user can fix."""
import re
from collections.abc import Iterator
from contextlib import contextmanager
from linecache import getline
from pathlib import Path
from traceback import walk_tb
from unicodedata import category

from cbsa_mm.require import MissingLibraryError


class UserError(ValueError):
    """A mistake in a command, config or data; command-line tools print only its message."""


class DataError(UserError):
    """A bad file in a data set; there may be more."""


class PretrainedError(UserError):
    """Pretrained weights, on which a model builds, can't be had."""


def printable(text: str) -> str:
    """Escapes the characters by which text from a file could control a terminal."""
    return ''.join(ascii(c)[1:-1] if category(c) == 'Cc' and c not in '\n\t' else c for c in text)


@contextmanager
def building(part: str) -> Iterator[None]:
    """Turns errors while building a config into a :class:`UserError`.

    Most are of wrong values. Those of Python itself, or without a message, tell the line, since
    they could be a bug too.

    Args:
        part: The part of the config, for the message.
    """
    try:
        yield
    except (UserError, MissingLibraryError):
        raise
    except Exception as error:
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        message = ' '.join(str(reason).split())
        if message == 'need at least one array to concatenate':  # mmengine's, of an empty data set
            message = 'it has no images: check its data_root, data_prefix, suffixes and lists'
        elif isinstance(error, FileNotFoundError) and '.dataset' in part:
            message = (f'there is no {error.filename}. Put or link the data set there, or say '
                       f'where it is: --cfg-options {part.split()[0]}.data_root=FOLDER')
        elif not message or not re.search('registry|unexpected keyword', message) and isinstance(
                error, TypeError | AttributeError | LookupError | ArithmeticError):
            *_, (frame, line) = walk_tb(error.__traceback__)
            file = Path(frame.f_code.co_filename)
            message = (f'{message or getline(str(file), line).strip()} ({type(error).__name__} in '
                       f'{file.parent.name}/{file.name}, line {line})')
        raise UserError(f'{part}: {message}') from error
