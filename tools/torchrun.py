"""torchrun, with one message where processes can't be started or end early.

dist_train.sh and dist_test.sh run it. Its options are torchrun's; ``--max-restarts`` may also stand
among those of the script.
"""
import argparse
import os
import sys

import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
    RendezvousError,
    RendezvousTimeoutError,
)
from torch.distributed.run import parse_args, run


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('--max-restarts', '--max_restarts', type=int, default=0)
    known, rest = parser.parse_known_args()
    args = parse_args(rest)
    check_processes(args.nproc_per_node)
    if known.max_restarts:
        allow_restarts(args, known.max_restarts)
    try:
        run(args)
    except ChildFailedError as error:
        sys.exit(f'error: {describe_failure(error)}')
    except (RuntimeError, TimeoutError, RendezvousError) as error:
        message = describe_meeting(error, args)
        if message is None:
            raise
        sys.exit(f'error: {message}')


def check_processes(number: str) -> None:
    """Refuses more processes than GPUs; where there is none, processes share the CPU."""
    if not number.isdigit() or number == '0':
        sys.exit(f'error: the number of GPUs must be 1 or more, got {number}')
    gpus = torch.cuda.device_count()
    if 0 < gpus < int(number):
        sys.exit(f'error: {number} GPUs were asked for, and {gpus} are visible on this machine: '
                 f'ask for {gpus} or fewer, or see to CUDA_VISIBLE_DEVICES')


def allow_restarts(args: argparse.Namespace, number: int) -> None:
    """Has torchrun start all processes anew when one fails.

    They meet at a new place each time: at the old one, some may find what the last ones left.
    """
    args.max_restarts = number
    args.rdzv_backend = 'c10d'
    args.rdzv_endpoint = f'{args.master_addr}:{args.master_port}'
    args.rdzv_conf = f'is_host={args.node_rank == 0},{args.rdzv_conf}'.rstrip(',')
    os.environ['TORCH_DISABLE_SHARE_RDZV_TCP_STORE'] = '1'


def describe_meeting(error: Exception, args: argparse.Namespace) -> str | None:
    """Says why the machines did not meet; None if the error is of another kind."""
    text, place = f'{error} {error.__cause__}', f'{args.master_addr}:{args.master_port}'
    if 'ddress already in use' in text:
        return (f'port {args.master_port} is taken on this machine, maybe by another run: choose '
                'another, such as PORT=29501, on all machines')
    if isinstance(error, RendezvousTimeoutError) or 'waiting for clients' in text:
        return (f'not all of the {args.nnodes} machines came to {place} in time: start the same '
                'command on each, with its own NODE_RANK from 0, and the same NNODES, MASTER_ADDR '
                'and PORT')
    if isinstance(error, RendezvousConnectionError) or 'timed out' in text:
        return (f'nobody answers at {place}: MASTER_ADDR and PORT must be those of the machine '
                'with NODE_RANK=0, which must have been started and be reachable')
    return None


def describe_failure(error: ChildFailedError) -> str:
    """Says which processes ended the run, apart from those that were stopped because of them."""
    ends = sorted((rank, failure.exitcode) for rank, failure in error.failures.items())
    killed = [f'process {rank} was killed by signal {-code}' for rank, code in ends
              if code < 0 and code != -15]
    failed = [f'process {rank} ended with exit code {code}' for rank, code in ends if code > 0]
    return f'{"; ".join(killed or failed)}: its own messages, if any, are above'


if __name__ == '__main__':
    main()
