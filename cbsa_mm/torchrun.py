"""torchrun for the scripts in tools/, which ends with one message on a mistake or a signal."""
import os
import sys

import yapf  # noqa: F401 (which writes its cache now, before the processes read it)
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

# The scripts' settings in the environment, from least to most.
LIMITS = dict(GPUS=(1, 1024), NNODES=(1, 10000), NODE_RANK=(0, 9999), PORT=(1, 65535),
              MAX_RESTARTS=(0, 10000))


def run() -> None:
    """Checks the settings, and runs torchrun with the arguments of the command line."""
    for name, (least, most) in LIMITS.items():
        value = os.environ.get(name) or str(least)
        if not value.isdecimal() or not least <= int(value) <= most:
            sys.exit(f'error: {name}={value} should be a whole number from {least} to {most}')
    try:
        main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        sys.exit(f'error: process {rank} failed first (exit code {failure.exitcode}), see its '
                 'message above')
    except (SignalException, KeyboardInterrupt) as error:  # the latter before its handler is set
        sys.exit(128 + getattr(error, 'sigval', 2))
    except Exception as error:
        sys.exit(f'error: {str(error).strip() or type(error).__name__}'.splitlines()[0])


if __name__ == '__main__':
    run()
