"""Distributed runs: their processes, and those on CPU, which mmengine does not support."""
import atexit
import ctypes
import gc
import os
import signal
import subprocess
import sys
from datetime import timedelta

import torch.distributed as dist
from mmengine.config import Config
from mmengine.logging import print_log

from cbsa_mm.errors import UserError

RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


def find_rank(launcher: str) -> int:
    """Finds this process's rank before the processes are connected.

    Raises:
        UserError: If the environment lacks it.
    """
    rank = '0' if launcher == 'none' else os.environ.get(RANKS[launcher])
    if rank is None:
        raise UserError(f'--launcher {launcher}: {RANKS[launcher]} is not set in the environment. '
                        'Start the processes with one of tools/*.sh, or mpirun')
    return int(rank)


def end_with_agent() -> None:
    """Has this process killed when torchrun's agent, which started it, ends; on Linux alone."""
    if 'TORCHELASTIC_RUN_ID' in os.environ and sys.platform == 'linux':
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def start_on_cpu(cfg: Config) -> None:
    """Initializes gloo before mmengine, whose launchers assume CUDA.

    Args:
        cfg: The config to modify, with launcher 'pytorch' or 'slurm'.
    """
    if cfg.launcher == 'slurm':
        _use_slurm_environment()
    timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
    dist.init_process_group('gloo', timeout=timedelta(seconds=timeout))
    atexit.register(_stop)
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel', device_ids=None,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    cfg.sync_bn = None  # SyncBatchNorm has no CPU kernel
    print_log(f'No GPU is visible: {dist.get_world_size()} processes share the work on CPU. '
              'BatchNorm statistics are per process', 'current')


def _use_slurm_environment() -> None:
    """Translates SLURM's environment to PyTorch's, as mmengine does for GPUs."""
    names = dict(RANK='SLURM_PROCID', LOCAL_RANK='SLURM_LOCALID', WORLD_SIZE='SLURM_NTASKS')
    os.environ.update({name: os.environ[slurm] for name, slurm in names.items()})
    if 'MASTER_ADDR' not in os.environ:
        hosts = subprocess.check_output(
            ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']], text=True)
        os.environ['MASTER_ADDR'] = hosts.split()[0]
    os.environ.setdefault('MASTER_PORT', '29500')


def _stop() -> None:
    """Ends gloo's threads, which would abort the process on exit."""
    gc.collect()  # the Runner's cycles hold the group
    dist.destroy_process_group()
