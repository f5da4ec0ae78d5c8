"""Converts trained models to their deploy form for inference."""
from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn

from cbsa_mm.checkpoints import load_strictly, write_checkpoint, write_whole
from cbsa_mm.datasets import read_metainfo
from cbsa_mm.errors import UserError

from .loading import load_checkpoint
from .model import build_model

# Maximum relative difference of the float32 outputs of two equivalent forms.
TOLERANCE = 1e-4


def reparameterize_file(cfg: Config, src: str, dst: Path, config: Path | None = None,
                        trust: bool = False) -> tuple[list[str], float]:
    """Converts a trained checkpoint to deploy form.

    Every part of the model that has a ``switch_to_deploy`` method is switched, and the model's
    outputs on a random image are compared. The result has ``state_dict``, and ``meta`` with
    class names and the matching config.

    Args:
        cfg: The config that the checkpoint was trained with; ``deploy=True`` is set in it.
        src: The checkpoint.
        dst: The file to write.
        config: Output file for the complete config, without inheritance.
        trust: Whether the checkpoint may contain arbitrary objects; loading it may run code.

    Returns:
        Names of the switched parts, and the relative difference of the outputs.

    Raises:
        UserError: If a file cannot be read or written, the checkpoint does not fit, nothing can be
            switched, or the outputs differ.
    """
    checkpoint = load_checkpoint(src, trust=trust)
    meta = read_metainfo(cfg, checkpoint)
    model = build_model(cfg).eval()
    load_strictly(model, checkpoint, src)
    before = _outputs(model)
    parts = switch_to_deploy(model)
    if not parts:
        raise UserError(f'the {cfg.model.type} of this config has no part with a deploy form')
    after = _outputs(model)
    difference = ((after - before).norm() / before.norm()).item()
    if not difference < TOLERANCE:
        raise UserError(f'the outputs of the deploy form differ by a relative {difference:.1e}, so '
                        f'nothing was written. Does {src} hold finite, trained weights?')
    for part in parts:
        _find(cfg.model, part).deploy = True
    for key in ('work_dir', 'launcher'):  # settings of this call, not of the config
        cfg.pop(key, None)
    meta = dict(dataset_meta=meta, cfg=cfg.pretty_text)
    write_checkpoint(dst, dict(meta=meta, state_dict=model.state_dict()))
    if config:
        write_whole(config, lambda file: file.write_text(cfg.pretty_text))
    return parts, difference


def switch_to_deploy(model: nn.Module, name: str = '') -> list[str]:
    """Switches the outermost parts of a model that have a deploy form.

    Args:
        model: The model, or a part of it.
        name: The part's name in the model.

    Returns:
        Names of the switched parts.
    """
    if hasattr(model, 'switch_to_deploy'):
        model.switch_to_deploy()
        return [name]
    return [part for child, module in model.named_children()
            for part in switch_to_deploy(module, f'{name}.{child}' if name else child)]


def _find(cfg: dict, name: str) -> dict:
    """The config of the model's part with the given name."""
    for key in name.split('.'):
        cfg = cfg[int(key) if key.isdigit() else key]
    return cfg


@torch.no_grad()
def _outputs(model: nn.Module) -> torch.Tensor:
    """The model's raw outputs for a random image."""
    channels = getattr(model.backbone, 'in_channels', 3)
    image = torch.randn(1, channels, 224, 224, generator=torch.Generator().manual_seed(0))
    outputs = model(image, mode='tensor')
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return torch.cat([output.flatten() for output in outputs])
