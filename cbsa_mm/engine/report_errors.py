"""One message, instead of a traceback, for errors that a user can fix."""
import errno
import os.path as osp
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGINT

from cbsa_mm.errors import DataError, UserError, printable
from cbsa_mm.require import MissingLibraryError

FULL_DISK = errno.ENOSPC, errno.EDQUOT, errno.EFBIG
# Parts of PyTorch's messages, and what they mean to a user.
PROCESS_ERRORS = {
    'by peer': 'another process of this run has ended; see its message for the reason. Continue '
               'training with --resume',
    'ddress already in use': 'the port for connecting the processes is in use, perhaps by another '
                             'run: set another, such as PORT=29501, for all of them',
}


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Ends the program with one message, instead of a traceback, on a user's mistake or Ctrl+C."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(128 + SIGINT)
    except Exception as error:
        message = _describe(error)
        if message is None:
            raise
        sys.exit(f'{osp.basename(sys.argv[0])}: error: {printable(message)}')


def _describe(error: Exception) -> str | None:
    """The message for an error; None if its traceback is more useful."""
    message = str(error).strip()
    if isinstance(error, RuntimeError | UserError):
        for words, meaning in PROCESS_ERRORS.items():
            if words in message:
                return meaning
    if isinstance(error, UserError | MissingLibraryError):
        if 'Original Traceback' in message:  # from a data loader's worker, with the cause last
            message = message.splitlines()[-1].partition(': ')[2]
        if isinstance(error, DataError):
            message += '. All such files: python -m cbsa_mm check_data CONFIG'
        return message
    if isinstance(error, AssertionError) and message:  # how OpenMMLab refuses values
        return message
    if isinstance(error, AttributeError) and message.startswith("'ConfigDict' object has no "):
        return f"the config has no {message.split(chr(39))[-2]}"
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        resume = ', and continue training with --resume' * (osp.basename(sys.argv[0]) == 'train.py')
        return f"can't write {error.filename or 'files'}: {error.strerror}. Free disk space{resume}"
    return None
