"""Checks that end a run at its start, with one message, rather than late or never."""
import os.path as osp
import re
import textwrap

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import CheckpointLoader, Runner
from torch import nn
from torch.utils.data import DataLoader

from cbsa_mm.checkpoints import find_state_dict, identify
from cbsa_mm.errors import UserError


def check_data_folders(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Checks that the folders which the data sets of a config name are there.

    Args:
        cfg: A config.
        loaders: Which of its data loaders are going to be used, such as 'train_dataloader'.

    Raises:
        UserError: If a folder is missing.
    """
    for loader in loaders:
        _check_folders(f'{loader}.dataset', (cfg.get(loader) or {}).get('dataset', {}))


def _check_folders(key: str, dataset: dict) -> None:
    if 'dataset' in dataset:  # RepeatDataset and the like
        _check_folders(f'{key}.dataset', dataset['dataset'])
    for i, part in enumerate(dataset.get('datasets', [])):  # ConcatDataset
        _check_folders(f'{key}.datasets.{i}', part)
    root = dataset.get('data_root') or ''
    prefixes = dataset.get('data_prefix', '')
    for prefix in prefixes.values() if isinstance(prefixes, dict) else [prefixes]:
        folder = osp.join(root, prefix)
        if folder and '://' not in folder and not osp.isdir(folder):
            raise UserError(f'{key}: there is no folder {folder}. Put or link the data set '
                            f'there, or say where it is: --cfg-options {key}.data_root=FOLDER')


def load_strictly(model: nn.Module, checkpoint: dict) -> None:
    """Loads a checkpoint into a model that it must fit to the last tensor.

    Args:
        model: The model, not wrapped for distribution.
        checkpoint: A state dict, or a dict with a ``state_dict``; a leading 'module.' in its keys
            is dropped.

    Raises:
        UserError: If a tensor is missing, unknown or of another shape.
    """
    state_dict = checkpoint.get('state_dict', checkpoint)
    try:
        model.load_state_dict({re.sub(r'^module\.', '', k): v for k, v in state_dict.items()})
    except (RuntimeError, UserError) as error:
        reasons = [textwrap.shorten(line, 200) for line in str(error).split('\n\t')
                   if not line.startswith('Error(s) in loading')]
        rest = f'; and {len(reasons) - 4} more' if len(reasons) > 4 else ''
        raise UserError(
            f'the checkpoint does not fit the model: {"; ".join(reasons[:4])}{rest}. '
            + (_advise_deploy(model, state_dict) or _advise_conversion(checkpoint)
               or 'Use the config that it was trained with, or set the model to its arch and '
               'classes')) from error


def check_pretrained(model: nn.Module) -> None:
    """Checks that pretrained weights fill the parts of a model that they are for.

    Args:
        model: A model; the ``init_cfg`` of its parts, or its own, may name pretrained weights.

    Raises:
        UserError: If a file lacks a tensor or has it in another shape; position embeddings may
            be for another grid.
    """
    for name, part in model.named_modules():
        init_cfg = getattr(part, 'init_cfg', None)
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            _check_fit(part, name.rpartition('.')[-1] or 'model', init_cfg)


def _check_fit(part: nn.Module, name: str, init_cfg: dict) -> None:
    checkpoint = CheckpointLoader.load_checkpoint(init_cfg['checkpoint'], map_location='cpu')
    prefix = init_cfg['prefix'].rstrip('.') + '.' if init_cfg.get('prefix') else ''
    own_name = getattr(part, 'own_name', str)  # of the parts that take other libraries' names
    shapes = {k: v.shape for k, v in part.state_dict().items()}
    state_dict = checkpoint.get('state_dict', checkpoint)
    given = {own_name(k.removeprefix(prefix)): getattr(v, 'shape', ())
             for k, v in state_dict.items() if k.startswith(prefix)}
    wrong = [k for k, shape in shapes.items()
             if k not in given or given[k][-1:] != shape[-1:]
             or given[k] != shape and not k.endswith('pos_embed')]
    if wrong:
        raise UserError(
            f'pretrained weights {init_cfg["checkpoint"]} do not fit the {name}: {len(wrong)} of '
            f'its {len(shapes)} tensors are missing or of another shape, such as {wrong[0]}. '
            + (_advise_conversion(checkpoint)
               or f"Give a file with {type(part).__name__}'s tensor names and sizes"))


def _advise_deploy(model: nn.Module, state_dict: dict) -> str | None:
    """What to do if one of checkpoint and model is in deploy form; None if both or none are."""
    # In that form alone, the LayerNorm before an attention has no affine of its own.
    given, built = (any('.attn.in_proj.' in name for name in names)
                    and not any(name.endswith('.norm1.weight') for name in names)
                    for names in (state_dict, model.state_dict()))
    if given and not built:
        return ('The checkpoint is in deploy form: set deploy=True in the config for the parts '
                'that have it, such as --cfg-options model.backbone.deploy=True')
    if built and not given:
        return ('The config says deploy=True, but the checkpoint is not in deploy form: make one '
                'with python tools/reparameterize.py CONFIG CHECKPOINT OUT, or leave deploy out')
    return None


def _advise_conversion(checkpoint: dict) -> str | None:
    """What to do with weights in a released layout; None if they are in no such."""
    try:
        family = identify(find_state_dict(checkpoint))
    except UserError:
        return None
    return (f'This is a {family.title} in its released layout: convert it first, python '
            'tools/convert_checkpoint.py SRC DST')


class StrictLoadHook(Hook):
    """Refuses a checkpoint, or pretrained weights, that do not fit.

    Without it, missing, unknown and misshapen tensors lead to a warning, and training or testing
    goes on with random ones.
    """

    def before_train(self, runner: Runner) -> None:
        """Checks pretrained weights.

        Raises:
            UserError: If they do not fit.
        """
        check_pretrained(_unwrap(runner.model))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Loads strictly, ahead of the Runner's own tolerant loading.

        Raises:
            UserError: If the checkpoint does not fit the model.
        """
        load_strictly(_unwrap(runner.model), checkpoint)


class ClassCountHook(Hook):
    """Refuses a data set with more classes than the model can predict."""

    def before_train(self, runner: Runner) -> None:
        """Checks the training data."""
        self._check(runner, runner.train_dataloader)

    def before_val(self, runner: Runner) -> None:
        """Checks the validation data."""
        self._check(runner, runner.val_dataloader)

    def before_test(self, runner: Runner) -> None:
        """Checks the test data."""
        self._check(runner, runner.test_dataloader)

    def _check(self, runner: Runner, loader: DataLoader) -> None:
        model = _unwrap(runner.model)
        key = 'decode_head' if hasattr(model, 'decode_head') else 'head'
        num_classes = getattr(getattr(model, key, None), 'num_classes', None)
        classes = getattr(loader.dataset, 'metainfo', {}).get('classes')
        if num_classes is not None and classes is not None and len(classes) > num_classes:
            raise UserError(
                f'{type(loader.dataset).__name__} has {len(classes)} classes, but the model '
                f'predicts {num_classes}: set model.{key}.num_classes={len(classes)}')


def _unwrap(model: nn.Module) -> nn.Module:
    """The model inside the wrappers for distribution and test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
