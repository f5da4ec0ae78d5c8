import errno

import pytest

from cbsa_mm.engine import report_user_errors
from cbsa_mm.errors import DataError


def test_user_errors_end_with_one_message():
    worker = DataError('Caught DataError in DataLoader worker process 0.\nOriginal Traceback '
                       '(most recent call last):\n...\ncbsa_mm.errors.DataError: a.jpg is \x1b[2J')
    with pytest.raises(SystemExit, match=r'error: a.jpg is \\x1b\[2J. All such files: .*CONFIG$'):
        with report_user_errors():
            raise worker
    with pytest.raises(RuntimeError, match='a bug'), report_user_errors():
        raise RuntimeError('a bug')


@pytest.mark.parametrize('error, message', [
    (OSError(errno.ENOSPC, 'No space left on device'),
     "can't write files: No space left on device. Free disk space$"),
    (RuntimeError('gloo: Connection closed by peer [::1]:1'), 'another process of this run has'),
    (RuntimeError('code: -98, message: address already in use'), 'set another, such as PORT='),
])
def test_errors_of_the_machine_end_with_one_message(error, message):
    with pytest.raises(SystemExit, match=f'error: .*{message}'), report_user_errors():
        raise error
    with pytest.raises(OSError, match='a bug'), report_user_errors():
        raise OSError(errno.EINVAL, 'a bug')
