"""What the command-line tools share: from arguments to a Runner."""
import os.path as osp
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner

from cbsa_mm.errors import UserError
from cbsa_mm.require import require

from .checks import check_data_folders, check_model
from .distributed import start_on_cpu
from .explain import explain, suggest
from .loading import use_safe_loading
from .runner import CheckedRunner


def add_config_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments that all tools with a config have."""
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', default={},
        help='override config values, such as train_dataloader.batch_size=4 or '
        'test_pipeline.1.scale="(2048,512)"')


def add_runner_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of tools that start a Runner, alone or in several processes."""
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints; work_dirs/<config> by default')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
        help='how the processes of a distributed run were started')
    # torch.distributed.launch of old passes it; the environment says the same.
    parser.add_argument('--local_rank', '--local-rank', type=int, help=SUPPRESS)


def add_trust_argument(parser: ArgumentParser) -> None:
    """Adds the argument that all tools which load a checkpoint have."""
    parser.add_argument(
        '--trust-checkpoint', action='store_true',
        help='load checkpoints that hold more than tensors and plain values, too; this may run '
        'code that is in them')


def load_config(args: Namespace, detection: bool = False) -> Config:
    """Reads ``args.config`` with ``args.cfg_options``, and sets ``work_dir`` and ``launcher``.

    From here on, mmengine reads checkpoints as data, unless ``args.trust_checkpoint`` is set.

    Args:
        args: What :func:`add_config_arguments`, :func:`add_runner_arguments` and
            :func:`add_trust_argument` parsed.
        detection: Whether the tool takes detectors, too.

    Raises:
        UserError: If there is no such file, it or an option can't be read, or the tool does not
            take such a model.
        MissingLibraryError: If the library that the config is for can't be imported.
    """
    use_safe_loading(getattr(args, 'trust_checkpoint', False))
    if not osp.isfile(args.config):
        raise UserError(f'there is no config file {args.config}')
    with _reading(f'config {args.config}'):
        cfg = Config.fromfile(args.config)
    _check_options(args.cfg_options, cfg)
    with _reading('--cfg-options'):
        cfg.merge_from_dict(args.cfg_options)
    scope = cfg.get('default_scope', 'mmengine')
    if scope == 'mmdet' and not detection:
        raise UserError(f'{osp.basename(sys.argv[0])} takes classifiers and segmenters, but '
                        f"{args.config} is a detector's config (default_scope = 'mmdet'). For "
                        'these there are train.py, test.py and check_data.py')
    require('mmdet.models' if scope == 'mmdet' else scope)  # mmdet alone imports without ops
    name = osp.splitext(osp.basename(args.config))[0]
    cfg.work_dir = getattr(args, 'work_dir', None) or cfg.get('work_dir') or f'work_dirs/{name}'
    cfg.launcher = getattr(args, 'launcher', 'none')
    return cfg


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Has mmengine's errors name what was read."""
    try:
        yield
    except ImportError:  # in a module that custom_imports names; the traceback tells where
        raise
    except Exception as error:
        reason = error.args[0] if isinstance(error, KeyError) else error
        raise UserError(f'{what}: {reason}') from error


def _check_options(options: dict, cfg: Config) -> None:
    """Refuses top-level keys that look misspelt, which mmengine would take and not use."""
    known = {*cfg, *signature(Runner.__init__).parameters}
    for key in options:
        top = key.partition('.')[0]
        if top not in known and (advice := suggest(top, known, cutoff=0.8)):
            raise UserError(f'--cfg-options {key}: the config has no {top}{advice}')


def read_metainfo(cfg: Config, checkpoint: dict | None = None) -> dict:
    """Class names and colours: a checkpoint's, else those of the data set that a config tests on.

    Args:
        cfg: A config; the files of its data set need not be there.
        checkpoint: A checkpoint, which may tell them.
    """
    told = (checkpoint or {}).get('meta', {}).get('dataset_meta')
    if told:
        return told
    init_default_scope(cfg.default_scope)
    return DATASETS.build(dict(cfg.test_dataloader.dataset, lazy_init=True)).metainfo


def use_amp(cfg: Config, dtype: str) -> None:
    """Switches mixed precision on.

    Args:
        cfg: A config to change; its ``loss_scale`` may tell how float16's loss scaler starts.
        dtype: 'float16' or 'bfloat16'.

    Raises:
        UserError: If this machine has no accelerator.
    """
    if get_device() == 'cpu':
        raise UserError('--amp needs a GPU or another accelerator, and none is visible here; '
                        'leave --amp out to train in float32')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.dtype = dtype
    # bfloat16 has float32's range, and needs no scale.
    loss_scale = cfg.get('loss_scale', 'dynamic') if dtype == 'float16' else dict(enabled=False)
    cfg.optim_wrapper.setdefault('loss_scale', loss_scale)


def use_tta(cfg: Config) -> None:
    """Switches test-time augmentation on.

    Args:
        cfg: A config to change.

    Raises:
        UserError: If the config does not say how to augment.
    """
    for key in ('tta_pipeline', 'tta_model'):
        if key not in cfg:
            raise UserError(f'--tta: the config has no {key}')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(**cfg.tta_model, module=cfg.model)


def use_auto_scale_lr(cfg: Config) -> None:
    """Has the Runner scale the learning rate with the total batch size.

    Args:
        cfg: A config to change.

    Raises:
        UserError: If the config does not tell its recipe's total batch size.
    """
    if 'auto_scale_lr' not in cfg:
        raise UserError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
    cfg.auto_scale_lr.enable = True


def build_runner(cfg: Config, loaders: tuple[str, ...]) -> CheckedRunner:
    """Builds mmengine's Runner, after checks of what would fail late.

    Args:
        cfg: A config.
        loaders: The data loaders that are going to be used, such as ('test_dataloader', ).

    Raises:
        UserError: If data, checkpoint or a config value is wrong.
    """
    check_data_folders(cfg, loaders)
    for loader in loaders:
        if cfg.get(loader) and cfg[loader].get('num_workers') == 0:
            cfg[loader].persistent_workers = False  # PyTorch refuses them without workers
    if cfg.launcher in ('pytorch', 'slurm') and get_device() == 'cpu':
        start_on_cpu(cfg)
    runner = CheckedRunner.from_cfg(cfg)
    check_model(runner.model)
    if 'train_dataloader' not in loaders:
        # mmseg 1.2's visualization hook would build the training loop, for which data may lack.
        runner._train_loop = None
    return runner


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Ends the program with one message, instead of a traceback, on a user's mistake."""
    try:
        yield
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        sys.exit(f'{osp.basename(sys.argv[0])}: error: {message}')
