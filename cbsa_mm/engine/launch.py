"""Builds a Runner from a config file."""
import os.path as osp
import sys
from inspect import signature
from logging import FileHandler, LogRecord
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from cbsa_mm.datasets import guard_dataset
from cbsa_mm.errors import UserError, building
from cbsa_mm.require import require

from .check_config import check_config, check_schedules, suggest
from .checks import check_pixels, check_width
from .distributed import end_with_agent, find_rank, start_on_cpu
from .saving import claim_work_dir


def load_config(path: str,
                options: dict | None = None,
                work_dir: str | None = None,
                launcher: str = 'none',
                detection: bool = False) -> Config:
    """Reads and checks a config.

    Args:
        path: The config file.
        options: Values that override the config's, by key path.
        work_dir: Folder for logs and checkpoints; by default the config's, or
            work_dirs/<config>.
        launcher: How the processes of a distributed run were started.
        detection: Whether detectors are supported.

    Raises:
        UserError: If the file does not exist or is not Python, it or an option cannot be read, a
            value is impossible, or it is for an unsupported detector.
        MissingLibraryError: If the library that the config needs cannot be imported.
    """
    options = options or {}
    if osp.splitext(path)[1] != '.py':  # YAML can run code, unseen
        raise UserError(f'{path} is no Python file, and configs of other kinds are not read: write '
                        'it as a .py file')
    with building(f'config {path}'):
        cfg = Config.fromfile(path)
    _check_options(options, cfg)
    with building('--cfg-options'):
        cfg.merge_from_dict(options)
    scope = cfg.get('default_scope', 'mmengine')
    if scope == 'mmdet' and not detection:
        raise UserError(f'{osp.basename(sys.argv[0])} supports classifiers and segmenters, but '
                        f"{path} is a detector's config (default_scope = 'mmdet'). Detectors work "
                        'with train.py, test.py and check_data.py')
    for part in ('models', 'datasets') if scope != 'mmengine' else ():
        require(f'{scope}.{part}')  # mmdet itself imports without ops
    check_config(cfg)
    name = osp.splitext(osp.basename(path))[0]
    cfg.work_dir = work_dir or cfg.get('work_dir') or f'work_dirs/{name}'
    cfg.launcher = launcher
    return cfg


def _check_options(options: dict, cfg: Config) -> None:
    """Rejects top-level keys that look misspelt, which mmengine would silently ignore."""
    known = {*cfg, *signature(Runner.__init__).parameters}
    for key in options:
        top = key.partition('.')[0]
        if top not in known and (advice := suggest(top, known, cutoff=0.8)):
            raise UserError(f'--cfg-options {key}: the config has no {top}{advice}')


def use_amp(cfg: Config, dtype: str) -> None:
    """Enables mixed precision.

    Args:
        cfg: The config to modify; its ``loss_scale`` may set float16's initial loss scale.
        dtype: 'float16' or 'bfloat16'.

    Raises:
        UserError: If this machine has no accelerator.
    """
    if get_device() == 'cpu':
        raise UserError('--amp needs a GPU or another accelerator, and none is visible; '
                        'omit --amp to train in float32')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.dtype = dtype
    # bfloat16 has float32's range and needs no scaling.
    loss_scale = cfg.get('loss_scale', 'dynamic') if dtype == 'float16' else dict(enabled=False)
    cfg.optim_wrapper.setdefault('loss_scale', loss_scale)


def use_tta(cfg: Config) -> None:
    """Enables test-time augmentation.

    Args:
        cfg: The config to modify.

    Raises:
        UserError: If the config does not define it.
    """
    for key in ('tta_pipeline', 'tta_model'):
        if not cfg.get(key):
            raise UserError(f'--tta: the config has no {key}')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(**cfg.tta_model, module=cfg.model)


def use_auto_scale_lr(cfg: Config) -> None:
    """Enables scaling of the learning rate with the total batch size.

    Args:
        cfg: The config to modify.

    Raises:
        UserError: If the config does not set its recipe's total batch size.
    """
    if 'auto_scale_lr' not in cfg:
        raise UserError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
    cfg.auto_scale_lr.enable = True


def use_fused(optim_wrapper: dict) -> None:
    """Lets PyTorch's optimizers update all weights at once on a GPU, where they can.

    Those leave out an update on the device, so that the guard need not wait for it.

    Args:
        optim_wrapper: The config's, to modify.
    """
    optimizer = optim_wrapper.get('optimizer')
    if get_device() != 'cuda' or not isinstance(optimizer, dict) or 'foreach' in optimizer:
        return
    kind = optimizer['type']
    kind = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    if kind and 'fused' in signature(kind).parameters:
        optimizer.setdefault('fused', True)


class CheckedRunner(Runner):
    """mmengine's Runner with data sets whose errors name the bad file, and a short log on screen.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger as in the base class; what is long goes to its file alone."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, FileHandler):
                handler.addFilter(_is_short)
        return logger

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict,
                         seed: int | None = None,
                         diff_rank_seed: bool = False) -> DataLoader:
        """Builds a data loader as in the base class."""
        if isinstance(dataloader, dict) and isinstance(dataloader.get('collate_fn'), dict):
            # Inheriting by package name adds it to every type; here it would be an argument.
            dataloader['collate_fn'].pop('_scope_', None)
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        guard_dataset(loader.dataset)
        return loader

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Resumes as in the base class, with one message if the optimizer is another."""
        with building(f"{filename} can't be resumed"):
            super().resume(filename, *args, **kwargs)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Builds the optimizer as in the base class, with one message for a mistake."""
        if isinstance(optim_wrapper, dict):
            use_fused(optim_wrapper)
        with building('optim_wrapper'):
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Builds the schedules as in the base class, with one message for a mistake."""
        with building('param_scheduler'):
            return super().build_param_scheduler(scheduler)


def _is_short(record: LogRecord) -> bool:
    """Whether a record is not one of the Runner's on environment, config and hooks."""
    long = '\n' + '-' * 60, 'Config:\n', 'Hooks will be executed'
    return not record.getMessage().startswith(long)


def build_runner(cfg: Config, loaders: tuple[str, ...]) -> Runner:
    """Builds a Runner with its model and data, after checking what would fail late.

    Args:
        cfg: The config.
        loaders: The data loaders to be used, such as ('test_dataloader', ).

    Raises:
        UserError: If data, checkpoint or a config value is wrong.
    """
    training = 'train_dataloader' in loaders
    parts = ('train_dataloader', 'train_cfg', 'optim_wrapper') if training else loaders
    if missing := [key for key in ('model', *parts) if not cfg.get(key)]:
        raise UserError(f'{cfg.filename or "the config"} has no {", ".join(missing)}')
    find_rank(cfg.launcher)
    end_with_agent()
    if training:
        check_schedules(cfg)
        claim_work_dir(cfg)
    for loader in loaders:
        if cfg.get(loader) and cfg[loader].get('num_workers') == 0:
            cfg[loader].persistent_workers = False  # PyTorch rejects it without workers
    if cfg.launcher in ('pytorch', 'slurm') and get_device() == 'cpu':
        start_on_cpu(cfg)
    arguments = {key: cfg[key] for key in signature(Runner).parameters if key in cfg}
    if not training:  # otherwise mmseg 1.2 loads training data to visualize
        for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
            arguments.pop(key, None)
    with building(cfg.filename or 'config'):
        runner = CheckedRunner(**arguments, cfg=cfg)
    check_width(runner.model)
    check_pixels(runner.model)
    for split in (loader.removesuffix('_dataloader') for loader in loaders):
        evaluator = '' if split == 'train' else f' or {split}_evaluator'
        with building(f'{split}_dataloader.dataset{evaluator}'):
            getattr(runner, f'{split}_loop')
    return runner
