"""Checks that end a run at its start, with one message, rather than late or never."""
import os.path as osp
import re
import textwrap

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, CheckpointLoader, Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cbsa_mm.backbones import CBT
from cbsa_mm.checkpoints import find_state_dict, identify
from cbsa_mm.datasets import CheckSegLabels, dataset_parts
from cbsa_mm.errors import UserError
from cbsa_mm.layers.representatives import PooledRepresentatives

# Where models have heads, by their keys in the config: segmenters, classifiers and detectors.
HEADS = ('decode_head', 'head', 'bbox_head', 'roi_head.bbox_head', 'roi_head.mask_head')


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


def load_strictly(model: nn.Module, checkpoint: dict, name: object = 'the checkpoint') -> None:
    """Loads a checkpoint into a model that it must fit to the last tensor.

    Args:
        model: The model, not wrapped for distribution.
        checkpoint: A state dict, or a dict with a ``state_dict``; a leading 'module.' in its keys
            is dropped.
        name: What to call it, such as its file's name.

    Raises:
        UserError: If a tensor is missing, unknown, of another shape, or not finite.
    """
    state_dict = checkpoint.get('state_dict', checkpoint)
    unwrapped = {re.sub(r'^module\.', '', name): v for name, v in state_dict.items()}
    if len(unwrapped) < len(state_dict):
        raise UserError("the checkpoint has tensors twice, with and without 'module.' before their "
                        'names')
    try:
        model.load_state_dict(unwrapped)
    except (RuntimeError, UserError) as error:
        reasons = [textwrap.shorten(line, 200) for line in str(error).split('\n\t')
                   if not line.startswith('Error(s) in loading')]
        rest = f'; and {len(reasons) - 4} more' if len(reasons) > 4 else ''
        raise UserError(
            f'{name} does not fit the model: {"; ".join(reasons[:4])}{rest}. '
            + (_advise_deploy(model, state_dict) or _advise_conversion(checkpoint)
               or 'Use the config that it was trained with, or set the model to its arch and '
               'classes')) from error
    _check_values(unwrapped, model.state_dict())


def _check_values(given: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """Checks that weights for the tensors of a model are finite, and of floating point like them.

    Raises:
        UserError: If they are not.
    """
    wrong = [f'{name} ({tensor.dtype})' for name, tensor in given.items()
             if not tensor.isfinite().all()
             or tensor.is_floating_point() != own.get(name, tensor).is_floating_point()]
    if wrong:
        raise UserError(f'NaN, infinite values or integers are in {len(wrong)} of the {len(given)} '
                        f'tensors of the checkpoint, such as {wrong[0]}: its training diverged, or '
                        'it is damaged. Take an earlier one')


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
        if isinstance(init_cfg, dict) and 'override' in init_cfg:  # for one layer of the part
            init_cfg = init_cfg['override']
            name, part = f'{name}.{init_cfg["name"]}', getattr(part, init_cfg['name'])
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            _check_fit(part, name or 'model', init_cfg)


def _check_fit(part: nn.Module, name: str, init_cfg: dict) -> None:
    checkpoint = CheckpointLoader.load_checkpoint(init_cfg['checkpoint'], map_location='cpu')
    prefix = init_cfg['prefix'].rstrip('.') + '.' if init_cfg.get('prefix') else ''
    own_name = getattr(part, 'own_name', str)  # of the parts that take other libraries' names
    own = part.state_dict()
    given = {own_name(k.removeprefix(prefix)): v
             for k, v in checkpoint.get('state_dict', checkpoint).items() if k.startswith(prefix)}
    wrong = [k for k, v in own.items() if k not in given or not _fits(k, given[k], v.shape)]
    if wrong:
        advice = None if given.keys() & own.keys() else _advise_conversion(checkpoint)
        raise UserError(
            f'pretrained weights {init_cfg["checkpoint"]} do not fit the {name}: {len(wrong)} of '
            f'its {len(own)} tensors are missing or of another shape, such as {wrong[0]}. '
            + (advice or f"Give a file with {type(part).__name__}'s tensor names and sizes"))
    _check_values({k: given[k] for k in own}, own)


def _fits(name: str, tensor: Tensor, shape: torch.Size) -> bool:
    given = getattr(tensor, 'shape', None)  # which what is no tensor lacks
    if name.endswith('pos_embed') and given and len(given) == 3:  # (1, tokens, d), of any grid
        return given[0] == 1 and given[1] > 1 and given[2:] == shape[2:]
    return given == shape


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

    def before_run(self, runner: Runner) -> None:
        """Checks pretrained weights before training initializes the model with them.

        Raises:
            UserError: If they do not fit.
        """
        if isinstance(runner._train_loop, BaseLoop):  # which is built by now in training alone
            check_pretrained(_unwrap(runner.model))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Loads strictly, ahead of the Runner's own tolerant loading.

        Raises:
            UserError: If the checkpoint does not fit the model.
        """
        load_strictly(_unwrap(runner.model), checkpoint, runner._load_from or 'the checkpoint')


class ClassCountHook(Hook):
    """Refuses data sets with other classes than the model predicts, before the first iteration."""

    def before_train(self, runner: Runner) -> None:
        """Checks the data for training and for validation.

        Raises:
            UserError: If the numbers of classes differ.
        """
        self._check(runner, runner.train_dataloader)
        if runner.val_loop is not None:
            self.before_val(runner)

    def before_val(self, runner: Runner) -> None:
        """Checks the data for validation, and what is measured on them."""
        self._check(runner, runner.val_dataloader, runner.val_evaluator)

    def before_test(self, runner: Runner) -> None:
        """Checks the data for the test, and what is measured on them."""
        self._check(runner, runner.test_dataloader, runner.test_evaluator)

    def _check(self, runner: Runner, loader: DataLoader,
               evaluator: Evaluator | None = None) -> None:
        for key, head in (_heads(_unwrap(runner.model)) or {'head': None}).items():
            num_classes = getattr(head, 'num_classes', None)
            check_class_count(loader.dataset, key, num_classes)
            for metric in evaluator.metrics if evaluator and num_classes else []:
                if type(metric).__name__ == 'Accuracy' and max(metric.topk) > num_classes:
                    raise UserError(f'there is no top-{max(metric.topk)} accuracy of {num_classes} '
                                    'classes: set topk of val_evaluator and test_evaluator')


def check_class_count(dataset: Dataset, key: str, num_classes: int | None) -> None:
    """Checks that data set, label check and model agree on the number of classes.

    Args:
        dataset: The data set.
        key: What the model's head is called in the config, such as 'head' or 'decode_head'.
        num_classes: The head's classes; None if it does not tell.

    Raises:
        UserError: If they don't.
    """
    for part in dataset_parts(dataset):
        classes = part.metainfo.get('classes')
        if classes is None:
            continue
        name, count = type(part).__name__, len(classes)
        if num_classes not in (None, count):
            raise UserError(f'{name} has {count} classes, but the model predicts {num_classes}: '
                            f'set model.{key}.num_classes={count}, or take the data set that the '
                            'model is for')
        for transform in part.pipeline.transforms:
            if isinstance(transform, CheckSegLabels) and transform.num_classes != count:
                raise UserError(f'{name} has {count} classes, but CheckSegLabels in its pipeline '
                                f'says num_classes={transform.num_classes}: set it to {count}')


def check_model(model: nn.Module) -> None:
    """Checks that the sizes of a model's parts go together.

    Args:
        model: A classifier, segmenter or detector.

    Raises:
        UserError: If representatives are pooled to a larger grid than that of the tokens, or the
            neck or, without one, the head is for another width than that of a CBT backbone.
    """
    model = _unwrap(model)
    backbone = getattr(model, 'backbone', None)
    grid = _token_grid(backbone)
    for name, module in model.named_modules():
        if grid and isinstance(module, PooledRepresentatives) and module.grid_size > min(grid):
            raise UserError(
                f'model.{name.partition(".")[0]}: grid_size={module.grid_size} asks for a larger '
                f"grid of representatives than that of the tokens, {grid[0]} x {grid[1]} at the "
                f"backbone's img_size: set grid_size to at most {min(grid)}")
    neck = getattr(model, 'neck', None)
    for key, part in ({'neck': neck} if neck else _heads(model)).items():
        in_channels = getattr(part, 'in_channels', None)
        if (isinstance(backbone, CBT) and isinstance(in_channels, int)
                and in_channels != backbone.embed_dims):
            raise UserError(f'model.{key}.in_channels={in_channels}, but the features of the '
                            f'backbone have {backbone.embed_dims} channels: set it to that')


def _heads(model: nn.Module) -> dict[str, nn.Module]:
    """The heads of a model by their keys in the config."""
    parts = dict(model.named_modules())
    return {key: parts[key] for key in HEADS if key in parts}


def _token_grid(backbone: nn.Module | None) -> tuple[int, int] | None:
    """The grid (H, W) of tokens at the image size that a backbone is for, if it is a ViT."""
    if isinstance(backbone, CBT):
        return backbone.grid
    size, patch_size = (getattr(backbone, name, None) for name in ('img_size', 'patch_size'))
    if not isinstance(size, tuple) or not isinstance(patch_size, int):
        return None
    return -(-size[0] // patch_size), -(-size[1] // patch_size)


def _unwrap(model: nn.Module) -> nn.Module:
    """The model inside the wrappers for distribution and test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
