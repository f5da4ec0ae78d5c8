"""Writes a config for one's own data that inherits from a shipped one."""
import os
import re
import shutil
from dataclasses import dataclass
from difflib import get_close_matches
from math import ceil
from pathlib import Path
from pprint import pformat

from mmengine.config import Config

from cbsa_mm import config_path
from cbsa_mm.errors import UserError

from .own_data import OwnData

DATA = '''
data = dict(
{data})
train_dataloader = dict(
    batch_size={batch_size},  # per GPU
    num_workers=2,
    dataset=dict(
        _delete_=True, **data, ann_file='{{{{ fileDirname }}}}/train.txt', pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        _delete_=True, **data, ann_file='{{{{ fileDirname }}}}/val.txt', pipeline=test_pipeline))
test_dataloader = val_dataloader
'''

SEGMENTATION = '''{head}
# Labels 0, 1, ... of the masks; 255 is ignored.
classes = {classes}
palette = {palette}

# Images are resized to a short side of {crop} pixels, and cut to squares for training.
crop_size = ({crop}, {crop})
scale = ({longest}, {crop})
model = dict(
    data_preprocessor=dict(size=crop_size{preprocessor}),
    backbone=dict(img_size=crop_size{backbone}),
    decode_head=dict(num_classes=len(classes){decode_head}){test_cfg})

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='FastRandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FastPhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale=(round(r * {longest}), round(r * {crop})), keep_ratio=True)
         for r in (0.75, 1.0, 1.25)],
        [dict(type='RandomFlip', prob=0., direction='horizontal'),
         dict(type='RandomFlip', prob=1., direction='horizontal')],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')],
    ])
]
{data}
max_iters = {max_iters}  # {epochs} epochs of {iters} iterations
val_interval = {val_interval}
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, begin=0, end={warmup}, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin={warmup}, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
default_hooks = dict(
    logger=dict(interval={log_interval}), checkpoint=dict(interval=val_interval))
'''

CLASSIFICATION = '''{head}
classes = {classes}
model = dict(
    backbone=dict(img_size={crop}{backbone}),
    head=dict(num_classes=len(classes){cls_head}))
data_preprocessor = dict(num_classes=len(classes))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale={crop}, backend='pillow', interpolation='bilinear'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
resize = dict(
    type='ResizeEdge', scale={longest}, edge='short', backend='pillow', interpolation='bilinear')
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='CenterCrop', crop_size={crop}),
    dict(type='PackInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='CenterCrop', crop_size={crop}),
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0., direction='horizontal'),
         dict(type='RandomFlip', prob=1., direction='horizontal')],
        [dict(type='PackInputs')],
    ])
]
{data}val_evaluator = dict(topk={topk})
test_evaluator = val_evaluator

max_epochs = {epochs}
val_interval = {val_interval}
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, begin=0, end={warmup}, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(
    _delete_=True, type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=val_interval)
default_hooks = dict(
    logger=dict(interval={log_interval}), checkpoint=dict(interval=val_interval))
'''
# Pooled representatives per side, of the parts that have a default.
GRID_SIZES = {'CBT': 8, 'CBTMaskTransformerHead': 10}


@dataclass
class Encoder:
    """An encoder of timm that a segmenter gets.

    Attributes:
        name: Its name in timm.
        patch: Pixels per token and side.
        width: Channels of its features.
        mean: Means of its training's pixels, from 0 to 255,
        std: and their standard deviations.
    """
    name: str
    patch: int
    width: int
    mean: list[float]
    std: list[float]


def write_new(folder: Path, data: OwnData, base: str, crop: int | None = None,
              epochs: int | None = None, encoder: Encoder | None = None) -> tuple[Path, str]:
    """Writes a new folder with a config and lists of images: all of it, or nothing.

    Args:
        folder: The folder; the config has its name.
        data: What the config is for.
        base: Name of the shipped config to inherit from, such as 'cbt-s_ade20k'.
        crop: Side of the squares to train on; by default that of ``base``, or less for small
            images.
        epochs: How often each image is trained on; by default 64 times in segmentation, or as
            often as makes 2000 iterations (20 are the least), and 100 times in classification.
        encoder: Replaces the one of ``base``, which has one of timm.

    Returns:
        The config, and the name of the checkpoint that its training ends with.

    Raises:
        UserError: If the folder exists or can't be written, or ``base`` is for another task.
    """
    segmentation = data.dataset['type'] == 'BaseSegDataset'
    shipped = _find_shipped(base, 'mmseg' if segmentation else 'mmpretrain')
    path = folder / f'{folder.resolve().name}.py'
    sizes = _choose_sizes(shipped, data, crop, encoder)
    write = _segmentation if segmentation else _classification
    text, checkpoint = write(shipped, data, sizes, epochs, head=(
        f'# {len(data.train)} images to train on and {len(data.val)} to validate on, '
        f'{len(data.classes)} classes; written by python -m cbsa_mm new.\n'
        f'# python -m cbsa_mm train {path}\n'
        f"_base_ = ['cbsa_mm::{Path(shipped.filename).relative_to(config_path())}']\n"))
    _write_folder(folder, {path.name: text, 'train.txt': '\n'.join(data.train) + '\n',
                           'val.txt': '\n'.join(data.val) + '\n'})
    return path, checkpoint


def _find_shipped(name: str, library: str) -> Config:
    """A shipped config by its name."""
    names = {path.stem: path for path in Path(config_path()).glob('[!_]*/*.py')}
    stem = Path(name).stem
    if stem not in names:
        close = get_close_matches(stem, names, 3)
        raise UserError(f'--from: there is no shipped config {name}'
                        + (f' (did you mean {" or ".join(close)}?)' if close else ''))
    cfg = Config.fromfile(names[stem])
    if cfg.default_scope != library:
        task = 'with --masks, it' if library == 'mmseg' else 'without --masks, it'
        raise UserError(f'--from {name} is a config of {cfg.default_scope}: {task} must be one of '
                        f'{library}')
    return cfg


def _choose_sizes(shipped: Config, data: OwnData, crop: int | None,
                  encoder: Encoder | None) -> dict:
    """The crop, and what depends on it and on the encoder in the model."""
    backbone, head = shipped.model.backbone, shipped.model.get('decode_head', {})
    if encoder and backbone.type != 'TimmEncoder':
        raise UserError('--encoder needs a config with an encoder of timm: leave out --from, or '
                        'take one of foundation/')
    patch, size = (encoder.patch if encoder else _patch_size(backbone),
                   backbone.get('img_size', 224))
    side = size if isinstance(size, int) else min(size)
    if crop is None:
        step = 2 * patch if patch % 16 else 32
        crop = max(min(side, data.short_side // step * step), 4 * patch)
    elif crop < 4 * patch or crop % patch:
        raise UserError(f'--crop must be a multiple of {patch}, the side of a patch, and at least '
                        f'{4 * patch}, got {crop}')
    fit = {key: _fit_grid(part, crop // patch)
           for key, part in (('backbone', backbone), ('decode_head', head))}
    if encoder:
        # As many layers as the paper's decoders of ViTs.
        num_layers = 3 if encoder.width < 768 else 6 if encoder.width < 1024 else 9
        mean, std = ([round(x, 3) for x in values] for values in (encoder.mean, encoder.std))
        fit['backbone'] += f', model_name={encoder.name!r}'
        fit['decode_head'] += f', in_channels={encoder.width}, num_layers={num_layers}'
        fit['preprocessor'] = f', mean={mean}, std={std}'
    return dict(preprocessor='', crop=crop) | fit


def _patch_size(backbone: dict) -> int:
    """Pixels per token and side; timm's names tell them, such as vit_small_patch14_dinov2."""
    named = re.search(r'patch(\d+)', backbone.get('model_name', ''))
    return int(named[1]) if named else backbone.get('patch_size', 16)


def _fit_grid(part: dict, tokens: int) -> str:
    """The attention's grid of representatives, where it must be smaller than it is."""
    if part.get('type') == 'AdaptedViT' and part.get('grid_size', 8) > tokens:
        return f', grid_size={tokens}'
    attention = part.get('attn_cfg') or {}
    if part.get('type') not in GRID_SIZES or not isinstance(attention, dict):
        return ''
    if attention.get('type', 'CBSA') not in ('CBSA', 'AgentAttention') or attention.get(
            'representatives', 'pooled') != 'pooled':
        return ''
    too_large = attention.get('grid_size', GRID_SIZES[part['type']]) > tokens
    return f', attn_cfg=dict(grid_size={tokens})' if too_large else ''


def _segmentation(shipped: Config, data: OwnData, sizes: dict, epochs: int | None,
                  head: str) -> tuple[str, str]:
    crop, batch_size = sizes['crop'], min(8, len(data.train))
    iters = ceil(len(data.train) / batch_size)
    epochs = max(epochs or max(64, ceil(2000 / iters)), ceil(20 / iters))
    max_iters = epochs * iters
    val_interval = ceil(max_iters / 10)
    slide = shipped.model.test_cfg.get('mode') == 'slide'
    stride = max(crop - 32, crop // 2)
    test_cfg = f',\n    test_cfg=dict(crop_size=crop_size, stride=({stride}, {stride}))'
    return SEGMENTATION.format(
        head=head, classes=_pretty(tuple(data.classes)), palette=_pretty(palette(data.classes)),
        longest=4 * crop, test_cfg=test_cfg if slide else '',
        data=_data(data, batch_size, palette=True), epochs=epochs, iters=iters, max_iters=max_iters,
        val_interval=val_interval, warmup=max_iters // 20, log_interval=min(50, val_interval),
        **sizes), f'iter_{max_iters}.pth'


def _classification(shipped: Config, data: OwnData, sizes: dict, epochs: int | None,
                    head: str) -> tuple[str, str]:
    batch_size = min(32, len(data.train))
    iters, epochs = ceil(len(data.train) / batch_size), epochs or 100
    return CLASSIFICATION.format(
        head=head, classes=_pretty(tuple(data.classes)), longest=round(sizes['crop'] * 8 / 7),
        # A pretrained head is for other classes.
        cls_head=', init_cfg=None' if shipped.model.head.get('init_cfg') else '',
        data=_data(data, batch_size), topk=(1, 5) if len(data.classes) > 5 else (1, ),
        epochs=epochs, val_interval=ceil(epochs / 10), warmup=max(epochs * iters // 20, 1),
        log_interval=min(100, iters), **sizes), f'epoch_{epochs}.pth'


def _data(data: OwnData, batch_size: int, palette: bool = False) -> str:
    """The data set and its loaders."""
    lines = [f'    {key}={value!r},' for key, value in data.dataset.items()]
    lines.append('    metainfo=dict(classes=classes{})'.format(
        ', palette=palette' if palette else ''))
    return DATA.format(data='\n'.join(lines), batch_size=batch_size)


def palette(classes: list[str]) -> list[list[int]]:
    """Colours of PASCAL VOC: the bits of a class's index, dealt out to red, green and blue."""
    return [[sum((i >> 3 * bit + channel & 1) << 7 - bit for bit in range(3))
             for channel in range(3)] for i in range(len(classes))]


def _pretty(value: object) -> str:
    return pformat(value, width=96, compact=True)


def _write_folder(folder: Path, files: dict[str, str]) -> None:
    """Writes a new folder of files under another name first, so that it is never incomplete."""
    if folder.exists():
        raise UserError(f'{folder} is there already, and nothing is overwritten: name another')
    half = folder.parent / f'.{folder.name}.half'
    try:
        half.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (half / name).write_text(text, encoding='utf-8')
        os.rename(half, folder)
    except OSError as error:
        raise UserError(f"can't write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
