"""Checks that weights fit a model exactly."""
import re
import textwrap

import torch
from torch import Tensor, nn

from cbsa_mm.errors import PretrainedError, UserError

from .families import identify
from .read import find_state_dict


def load_strictly(model: nn.Module, checkpoint: dict, name: object = 'the checkpoint') -> None:
    """Loads a checkpoint into a model that it must fit exactly.

    Args:
        model: The model, not wrapped for distributed training.
        checkpoint: A state dict, or a dict with a ``state_dict``; a leading 'module.' in its keys
            is dropped.
        name: Its name in messages, such as the file name.

    Raises:
        UserError: If a tensor is missing, unknown, misshapen or not finite.
        PretrainedError: If the model has a frozen encoder whose weights can't be had.
    """
    state_dict = checkpoint.get('state_dict', checkpoint)
    unwrapped = {re.sub(r'^module\.', '', name): v for name, v in state_dict.items()}
    if len(unwrapped) < len(state_dict):
        raise UserError("the checkpoint has tensors twice, with and without the prefix 'module.'")
    try:
        model.load_state_dict(unwrapped)
    except PretrainedError:
        raise
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
    """Checks that weights are finite, and floating-point if the model's tensors are.

    Raises:
        UserError: If they are not.
    """
    wrong = [f'{name} ({tensor.dtype})' for name, tensor in given.items()
             if not tensor.isfinite().all()
             or tensor.is_floating_point() != own.get(name, tensor).is_floating_point()]
    if wrong:
        raise UserError(f'NaN, infinite values or integers are in {len(wrong)} of the {len(given)} '
                        f'tensors of the checkpoint, such as {wrong[0]}: its training diverged, or '
                        'it is damaged. Use an earlier one')


def check_pretrained(model: nn.Module) -> None:
    """Checks that pretrained weights cover the parts of a model that they are for.

    Args:
        model: A model with pretrained weights in its own ``init_cfg`` or those of its parts.

    Raises:
        UserError: If a tensor is missing or misshapen; position embeddings may
            be for another grid.
    """
    for name, part in model.named_modules():
        init_cfg = getattr(part, 'init_cfg', None)
        override = init_cfg.get('override') if isinstance(init_cfg, dict) else None
        if isinstance(override, dict) and override.get('type') == 'Pretrained':  # of one layer
            _check_fit(getattr(part, override['name']), f'{name}.{override["name"]}', override)
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            _check_fit(part, name or 'model', init_cfg)


def _check_fit(part: nn.Module, name: str, init_cfg: dict) -> None:
    from mmengine.runner import CheckpointLoader
    checkpoint = CheckpointLoader.load_checkpoint(init_cfg['checkpoint'], map_location='cpu')
    prefix = init_cfg['prefix'].rstrip('.') + '.' if init_cfg.get('prefix') else ''
    own_name = getattr(part, 'own_name', str)  # of parts that load other libraries' names
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
    given = getattr(tensor, 'shape', None)  # it may not be a tensor
    if name.endswith('pos_embed') and given and len(given) == 3:  # (1, tokens, d), of any grid
        return given[0] == 1 and given[1] > 1 and given[2:] == shape[2:]
    return given == shape


def _advise_deploy(model: nn.Module, state_dict: dict) -> str | None:
    """What to do if only one of checkpoint and model is in deploy form; None otherwise."""
    # Only in that form, the LayerNorm before an attention has no affine.
    given, built = (any('.attn.in_proj.' in name for name in names)
                    and not any(name.endswith('.norm1.weight') for name in names)
                    for names in (state_dict, model.state_dict()))
    if given and not built:
        return ('The checkpoint is in deploy form: set deploy=True in the config for the parts '
                'that have it, such as --cfg-options model.backbone.deploy=True')
    if built and not given:
        return ('The config sets deploy=True, but the checkpoint is not in deploy form: make one '
                'with python -m cbsa_mm reparameterize CONFIG CHECKPOINT OUT, or remove deploy')
    return None


def _advise_conversion(checkpoint: dict) -> str | None:
    """What to do with weights in a released layout; None for other weights."""
    try:
        family = identify(find_state_dict(checkpoint))
    except UserError:
        return None
    return (f'This is a {family.title} in its released layout: convert it first, '
            'python -m cbsa_mm convert_checkpoint SRC DST')
