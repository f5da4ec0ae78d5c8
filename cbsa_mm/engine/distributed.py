"""Several processes on CPU, which mmengine's launchers do not start."""
import atexit
import gc
import os
import subprocess
from datetime import timedelta

import torch.distributed as dist
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """Data parallelism over CPU processes.

    Args:
        module: The model. SyncBatchNorm, which has no CPU kernel, becomes plain BatchNorm.
        device_ids: Ignored; mmengine gives a GPU's.
        kwargs: :class:`torch.nn.parallel.DistributedDataParallel`'s.
    """

    def __init__(self, module: nn.Module, device_ids: object = None, **kwargs) -> None:
        module = revert_sync_batchnorm(module)
        print_log(f'No GPU is visible: {dist.get_world_size()} processes share the work on CPU',
                  'current')
        if any(isinstance(part, _BatchNorm) for part in module.modules()):
            print_log('SyncBatchNorm has no CPU kernel: each process keeps plain BatchNorm, over '
                      'its own samples', 'current')
        super().__init__(module, device_ids=None, **kwargs)


def start_on_cpu(cfg: Config) -> None:
    """Starts gloo before mmengine, whose launchers take CUDA for granted.

    Args:
        cfg: A config to change. Its launcher is 'pytorch' or 'slurm'.
    """
    if cfg.launcher == 'slurm':
        _use_slurm_environment()
    timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
    dist.init_process_group('gloo', timeout=timedelta(seconds=timeout))
    atexit.register(_stop)
    cfg.model_wrapper_cfg = dict(
        type='CPUDistributedDataParallel',
        find_unused_parameters=cfg.get('find_unused_parameters', False))


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
    """Ends gloo's threads, which abort a process that exits around them."""
    gc.collect()  # the Runner's cycles hold the group
    dist.destroy_process_group()
