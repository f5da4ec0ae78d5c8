"""Checks that end a run at its start, with one message, rather than late or never."""
from contextlib import redirect_stdout
from io import StringIO

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from cbsa_mm.backbones import CBT, TimmEncoder
from cbsa_mm.checkpoints import check_pretrained, load_strictly
from cbsa_mm.datasets import dataset_parts
from cbsa_mm.errors import UserError

from .check_config import suggest
from .saving import check_state, compare_trainings

# Where models have heads, by their keys in the config: segmenters, classifiers and detectors.
HEADS = ('decode_head', 'head', 'bbox_head', 'roi_head.bbox_head', 'roi_head.mask_head')


@HOOKS.register_module()
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
        if isinstance(runner.optim_wrapper, OptimWrapper):  # built by now in training alone
            check_pretrained(_unwrap(runner.model))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Loads strictly, ahead of the Runner's own tolerant loading.

        Raises:
            UserError: If the checkpoint does not fit the model, or is to be resumed and holds no
                state of a training.
        """
        name = runner.cfg.get('load_from') or 'the checkpoint'
        load_strictly(_unwrap(runner.model), checkpoint, name)
        if runner.cfg.get('resume'):
            check_state(checkpoint, name)
            compare_trainings(runner, checkpoint, name)


@HOOKS.register_module()
class ClassCountHook(Hook):
    """Refuses data sets with other classes than the model predicts, before the first iteration.

    It also rehearses the validation on one sample, which shows what would fail later: labels of
    another size than the images, a metric that does not exist, or one for ``save_best`` that is
    not measured.
    """

    def before_train(self, runner: Runner) -> None:
        """Checks the data for training and for validation.

        Raises:
            UserError: If the numbers of classes differ, or the validation would fail.
        """
        self._check(runner, runner.train_dataloader)
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and hook.args:  # which would fail when it saves
                raise UserError(f'the checkpoint hook has no argument {", ".join(hook.args)}')
        if runner.val_loop is not None:
            self.before_val(runner)
            metrics = _rehearse(runner)
            for key in (key for hook in runner.hooks
                        for key in getattr(hook, 'save_best', None) or ()):
                if metrics and key not in (*metrics, 'auto'):
                    raise UserError(f"the checkpoint hook's save_best={key!r} is not measured"
                                    f'{suggest(key, metrics)}, only {", ".join(metrics)}')

    def before_val(self, runner: Runner) -> None:
        """Checks the data for validation."""
        self._check(runner, runner.val_dataloader)

    def before_test(self, runner: Runner) -> None:
        """Checks the data for the test."""
        self._check(runner, runner.test_dataloader)

    def _check(self, runner: Runner, loader: DataLoader) -> None:
        for key, head in _heads(_unwrap(runner.model)).items():
            check_class_count(loader.dataset, key, getattr(head, 'num_classes', None))


def _rehearse(runner: Runner) -> dict[str, float]:
    """Silently measures the first sample of the validation."""
    loop = runner.val_loop
    runner.logger.disabled = True
    runner.model.eval()
    try:
        with torch.no_grad(), redirect_stdout(StringIO()):
            batch = loop.dataloader.collate_fn([loop.dataloader.dataset[0]])
            loop.evaluator.process(runner.model.val_step(batch), batch)
            return loop.evaluator.evaluate(get_world_size())
    except UserError:
        raise
    except Exception as error:  # any kind, depending on the metric
        raise UserError(f'validation would fail: {type(error).__name__}: '
                        f'{" ".join(str(error).split())}. Check val_evaluator, and the pipeline of '
                        'val_dataloader.dataset') from error
    finally:
        runner.logger.disabled = False


def check_class_count(dataset: Dataset, key: str, num_classes: int | None) -> None:
    """Checks that data set and model agree on the number of classes.

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


def check_width(model: nn.Module) -> None:
    """Checks that the neck or, without one, the head is for the width of our backbones.

    Raises:
        UserError: If it is for another.
    """
    model = _unwrap(model)
    backbone, neck = (getattr(model, part, None) for part in ('backbone', 'neck'))
    for key, part in ({'neck': neck} if neck else _heads(model)).items():
        channels, given = getattr(part, 'in_channels', None), _width(backbone, part)
        if isinstance(channels, int) and given not in (None, channels):
            raise UserError(f'model.{key}.in_channels={channels}, but the features of the '
                            f'backbone have {given} channels: set it to that')


def _width(backbone: nn.Module | None, part: nn.Module) -> int | None:
    """Width of the features that a neck or head gets; None if not known."""
    transform, index = getattr(part, 'input_transform', None), getattr(part, 'in_index', -1)
    if isinstance(backbone, CBT):
        return backbone.embed_dims if transform is None else None
    if not isinstance(backbone, TimmEncoder) or transform not in (None, 'resize_concat'):
        return None
    widths = backbone.out_channels
    chosen = [index] if isinstance(index, int) else index
    if any(i >= len(widths) for i in chosen):
        raise UserError(f'in_index={index} of the head, but the backbone gives {len(widths)} '
                        'feature map(s): set in_index, or out_indices of the backbone')
    return sum(widths[i] for i in chosen)


def check_pixels(model: nn.Module) -> None:
    """Checks that a pretrained encoder of timm gets images normalised as in its training.

    Raises:
        UserError: If it does not.
    """
    model = _unwrap(model)
    encoder = getattr(model, 'backbone', None)
    if not (isinstance(encoder, TimmEncoder) and encoder.pretrained and encoder.in_channels == 3):
        return
    wanted = dict(mean=encoder.mean, std=encoder.std)
    given = {key: getattr(model.data_preprocessor, key, None) for key in wanted}
    if any(given[key] is None or not torch.allclose(
            given[key].flatten().cpu().float(), torch.tensor(wanted[key]), atol=0.5)
            for key in wanted):
        told = ', '.join(f'{key}={[round(x, 3) for x in value]}' for key, value in wanted.items())
        raise UserError(f'{encoder.model_name} was trained on RGB images that were normalised '
                        f'otherwise: set {told} and bgr_to_rgb=True in model.data_preprocessor')


def _heads(model: nn.Module) -> dict[str, nn.Module]:
    """The heads of a model by their keys in the config."""
    parts = dict(model.named_modules())
    return {key: parts[key] for key in HEADS if key in parts}


def _unwrap(model: nn.Module) -> nn.Module:
    """The model inside the wrappers for distribution and test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
