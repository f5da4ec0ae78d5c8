"""Converts released checkpoint files to ones that OpenMMLab loads, and back."""
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from cbsa_mm.datasets import read_metainfo
from cbsa_mm.errors import UserError
from cbsa_mm.require import require

from .describe import describe
from .families import Converted, convert, restore
from .read import find_state_dict, read_checkpoint
from .variant import check_variant, read_variant
from .write import write_checkpoint, write_whole
from .write_config import find_config, write_config


@dataclass
class Report:
    """Result of a conversion.

    Attributes:
        converted: The weights.
        facts: The model's properties by name.
        cfg: The matching config; None if too little is known to choose one.
        shipped: Its file, if it is a shipped one.
        is_encoder: Whether the weights are only an encoder's.
    """
    converted: Converted
    facts: dict
    cfg: Config | None
    shipped: Path | None
    is_encoder: bool


def convert_file(src: Path,
                 dst: Path,
                 configs: Path,
                 library: str | None = None,
                 num_heads: int | None = None,
                 config: Path | None = None,
                 trust: bool = False) -> Report:
    """Converts a released checkpoint to one that mmseg or mmpretrain loads strictly.

    The result has ``state_dict``; ``meta`` with class names and config, if known;
    and ``released`` with everything needed to convert back.

    Args:
        src: The released file; a variant.yml next to a segmenter's file is read too.
        dst: The file to write.
        configs: The folder of the shipped configs.
        library: 'mmseg' or 'mmpretrain', for weights that fit both.
        num_heads: Number of heads of a ViT, if unknown from the file.
        config: A config to write.
        trust: Whether ``src`` may contain arbitrary objects; loading such a file may run code.

    Raises:
        UserError: If a file cannot be read, recognised or written.
        MissingLibraryError: If the library for the weights cannot be imported.
    """
    if dst.suffix in ('.safetensors', '.npz'):
        raise UserError(f'OpenMMLab loads PyTorch files: DST must end with .pth, not {dst.suffix}')
    checkpoint = read_checkpoint(src, mmap=True, trust=trust)
    try:
        converted = convert(find_state_dict(checkpoint), library)
    except UserError as error:
        raise UserError(f'{src}: {error}') from error
    require(converted.library)
    facts = describe(converted, _read_variant(src, converted), num_heads)
    is_encoder = 'num_classes' not in facts
    cfg, shipped = None, None
    if config or (facts['num_heads'] and facts['img_size']):
        cfg, shipped = find_config(converted.library, facts, configs)
    meta = _meta(cfg) if cfg and not is_encoder else {}
    write_checkpoint(dst, dict(
        meta=meta, state_dict=converted.state_dict, released=converted.released))
    if config:
        write_config(
            config, f'{converted.family.title}, converted from {src.name!r}.', cfg, shipped,
            dict(type='Pretrained', checkpoint=str(dst)) if is_encoder else None)
    return Report(converted, facts, cfg, shipped, is_encoder)


def restore_file(src: Path, dst: Path, trust: bool = False) -> str:
    """Converts a checkpoint of this package back to the authors' layout.

    Args:
        src: A converted checkpoint, or one from training.
        dst: The file to write. A segmenter's variant.yml, if known, is written next to it.
        trust: Whether ``src`` may contain arbitrary objects; loading such a file may run code.

    Returns:
        The family's title.

    Raises:
        UserError: If a file cannot be read, recognised or written.
    """
    checkpoint = read_checkpoint(src, mmap=True, trust=trust)
    released = checkpoint.get('released', {})
    if not isinstance(released, Mapping) or not isinstance(released.get('variant', ''), str):
        raise UserError(f'{src}: its entry "released" is not of this package: remove that entry')
    try:
        family, tensors = restore(find_state_dict(checkpoint), released)
    except UserError as error:
        raise UserError(f'{src}: {error}') from error
    if (dst.suffix == '.npz') != bool(family.jax):
        raise UserError(f'the released file of a {family.title} '
                        f'{"ends" if family.jax else "does not end"} with .npz, unlike {dst}')
    content = tensors
    if family.entry and dst.suffix != '.safetensors':
        content = {family.entry: tensors}
    if 'variant' in released:
        variant = dst.parent / 'variant.yml'
        if variant.exists() and variant.read_text() != released['variant']:
            raise UserError(f'{variant} belongs to another checkpoint: choose another folder for '
                            f'{dst}')
    write_checkpoint(dst, content)
    if 'variant' in released:
        write_whole(variant, lambda file: file.write_text(released['variant']))
    return family.title


def _read_variant(src: Path, converted: Converted) -> dict | None:
    """Reads and checks the variant.yml next to a segmenter, and keeps it for converting back."""
    path = src.parent / 'variant.yml'
    if 'decoder_num_layers' not in converted.sizes or not path.is_file():
        return None
    converted.released['variant'] = text = path.read_text('utf-8', errors='replace')
    net_kwargs = read_variant(text, path)
    distilled = 'backbone.dist_token' in converted.state_dict
    check_variant(net_kwargs, converted.sizes, distilled, path)
    return net_kwargs


def _meta(cfg: Config) -> dict:
    """The config, and class names and colours if its data set has as many as the model."""
    meta = dict(cfg=cfg.pretty_text)
    head = cfg.model.get('decode_head') or cfg.model.head
    metainfo = read_metainfo(cfg)
    if len(metainfo['classes']) == head.num_classes:
        meta['dataset_meta'] = dict(metainfo)
    return meta
