"""The config for converted weights: a shipped one that fits, or a new one."""
import os.path as osp
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mmengine.config import Config

from cbsa_mm.backbones.cbt import ARCHS
from cbsa_mm.errors import UserError

# The files under configs/_base_ that a new config starts from.
BASES = {
    'CBT': ['models/cbt-cls', 'datasets/imagenet', 'schedules/imagenet', 'runtime/mmpretrain'],
    'ViT': ['datasets/imagenet', 'schedules/imagenet', 'runtime/mmpretrain'],
    'segmenter': ['models/vit-cbt-seg', 'datasets/ade20k', 'schedules/ade20k', 'runtime/mmseg'],
}
# Lines for images of another size than the base's. {size} and the like are filled in.
RESIZED_IMAGENET = '''\
# The base's pipelines at {size} instead of 224 pixels.
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
tta_pipeline = _base_.tta_pipeline
train_pipeline[1].scale = {size}
test_pipeline[1].scale = tta_pipeline[1].scale = {short_side}
test_pipeline[2].crop_size = tta_pipeline[2].crop_size = {size}
'''
RESIZED_ADE20K = '''\
# The base's pipelines at {size} instead of (512, 512) pixels.
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[3].scale = test_pipeline[1].scale = {scale}
train_pipeline[4].crop_size = {size}
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(int(r * {scale[0]}), int(r * {scale[1]})), keep_ratio=True)
    for r in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
]
'''
LOADERS = '''\
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
'''


@dataclass
class Experiment:
    """A config, as the shipped files that it inherits and what it changes of them.

    Attributes:
        configs: The folder of the shipped configs.
        bases: The inherited files in that folder; a single one is a shipped experiment that fits.
        changes: Values of its own.
        lines: Python lines of its own, which change pipelines.
    """
    configs: Path
    bases: list[str]
    changes: dict = field(default_factory=dict)
    lines: str = ''

    @property
    def shipped(self) -> Path | None:
        """The shipped config that fits, if one does."""
        return self.configs / self.bases[0] if len(self.bases) == 1 else None

    def text(self, folder: Path) -> str:
        """The config's text, for a file in ``folder``."""
        folder, prefix = folder.resolve(), str(self.configs.resolve())
        if folder.is_relative_to(self.configs.resolve().parent):
            prefix = osp.relpath(prefix, folder)  # within the project, as shipped configs do
        bases = ''.join(f'    {osp.join(prefix, base)!r},\n' for base in self.bases)
        own = ''.join(f'{key} = {_render(value)}\n' for key, value in self.changes.items())
        return f'_base_ = [\n{bases}]\n{self.lines}{own}'

    @cached_property
    def cfg(self) -> Config:
        """The config, read."""
        return Config.fromstring(self.text(Path(tempfile.gettempdir())), '.py')


def find_experiment(library: str, facts: dict, configs: Path) -> Experiment:
    """Finds the shipped config that fits a model, or describes a new one.

    Args:
        library: 'mmseg' or 'mmpretrain'.
        facts: What :func:`cbsa_mm.checkpoints.describe` tells of the model.
        configs: The folder of the shipped configs.

    Raises:
        UserError: If the facts lack one that the config needs.
    """
    for name in ('num_heads', 'img_size'):
        if not facts[name]:
            raise UserError(f'the tensors do not tell the {name} that a config needs: '
                            + ('give --num-heads, or ' if name == 'num_heads' else '')
                            + "put the segmenter's variant.yml beside SRC")
    wanted = _wanted(library, facts)
    for path in sorted(configs.glob('[!_]*/*.py')):
        cfg = Config.fromfile(path)
        if cfg.default_scope == library and not _difference(wanted, cfg):
            return Experiment(configs, [f'{path.parent.name}/{path.name}'])
    kind = 'segmenter' if library == 'mmseg' else 'ViT' if 'mlp_dims' in facts else 'CBT'
    bases = [f'_base_/{base}.py' for base in BASES[kind]]
    changes = _difference(wanted, Experiment(configs, bases).cfg)
    return Experiment(configs, bases, changes, _resizing(library, wanted, facts))


def _resizing(library: str, wanted: dict, facts: dict) -> str:
    """Python lines that bring the base's pipelines to the model's image size."""
    height, width = facts['img_size']
    if library == 'mmpretrain' and (height, width) != (224, 224):
        size = height if height == width else (height, width)
        return RESIZED_IMAGENET.format(
            size=size, short_side=round(min(height, width) * 256 / 224)) + LOADERS
    if 'test_cfg' in wanted['model'] and (height, width) != (512, 512):
        side = min(height, width)
        return RESIZED_ADE20K.format(size=(height, width), scale=(4 * side, side)) + LOADERS
    return ''


def _wanted(library: str, facts: dict) -> dict:
    """What a config must say of a model; None for what it must not say."""
    if 'mlp_dims' not in facts:
        return _cbt(facts)
    return _vit(facts) if library == 'mmpretrain' else _segmenter(facts)


def _sizes(facts: dict) -> dict:
    return {name: facts[name] for name in ('embed_dims', 'num_layers', 'num_heads')}


def _side(facts: dict) -> int | tuple[int, int]:
    height, width = facts['img_size']
    return height if height == width else (height, width)


def _cbt(facts: dict) -> dict:
    sizes, num_classes = _sizes(facts), facts['num_classes']
    if facts['head_dims'] * facts['num_heads'] != facts['embed_dims']:
        sizes['head_dims'] = facts['head_dims']
    arch = next((name for name, arch in ARCHS.items() if arch == sizes), sizes)
    return dict(
        data_preprocessor=dict(num_classes=num_classes),
        model=dict(
            type='ImageClassifier',
            backbone=dict(
                type='CBT', arch=arch, img_size=_side(facts), patch_size=facts['patch_size'],
                attn_cfg=facts['attn_cfg'], stem=facts['stem']),
            head=dict(type='LinearClsHead', num_classes=num_classes,
                      in_channels=facts['embed_dims'])))


def _mmpretrain_vit(facts: dict) -> dict:
    return dict(
        type='DistilledVisionTransformer' if facts['distilled'] else 'VisionTransformer',
        arch=_sizes(facts) | dict(feedforward_channels=facts['mlp_dims']),
        img_size=_side(facts),
        patch_size=facts['patch_size'])


def _vit(facts: dict) -> dict:
    head = 'DeiTClsHead' if facts['distilled'] else 'VisionTransformerClsHead'
    return dict(
        data_preprocessor=dict(num_classes=1000, mean=facts['mean'], std=facts['std'], to_rgb=True),
        model=dict(
            type='ImageClassifier',
            backbone=_mmpretrain_vit(facts),
            head=dict(type=head, num_classes=1000, in_channels=facts['embed_dims'])))


def _segmenter(facts: dict) -> dict:
    """A segmenter; of an encoder alone, what it says of the encoder."""
    # As in the released segmenter, against the defaults: eps and interpolation.
    if facts['distilled']:  # PlainViT has no distillation token
        backbone = _mmpretrain_vit(facts)
        backbone['type'] = f'mmpretrain.{backbone["type"]}'
        backbone |= dict(out_type='featmap', drop_path_rate=0.1,
                         norm_cfg=dict(type='LN', eps=1e-5))
    else:
        backbone = dict(
            type='PlainViT', arch=_sizes(facts), patch_size=facts['patch_size'],
            out_type='featmap', norm_eps=1e-5)
        if facts['mlp_dims'] != 4 * facts['embed_dims']:
            backbone['mlp_ratio'] = facts['mlp_dims'] / facts['embed_dims']
    backbone['interpolate_mode'] = 'bilinear'
    head = dict(type=facts['head'], in_channels=facts['embed_dims'], attn_cfg=None)
    model = dict(type='SlidingEncoderDecoder', backbone=backbone, decode_head=head)
    if 'decoder_num_layers' in facts:
        height, width = facts['img_size']
        if not facts['distilled']:
            backbone['img_size'] = (height, width)
        for name in ('num_layers', 'num_heads', 'head_dims'):
            head[name] = facts[f'decoder_{name}']
        if 'decoder_num_cross_layers' in facts:
            head['num_cross_layers'] = facts['decoder_num_cross_layers']
            head['cross_head_dims'] = facts['decoder_cross_head_dims']
        head['num_classes'] = facts['num_classes']
        model['data_preprocessor'] = dict(
            size=(height, width), mean=facts['mean'], std=facts['std'])
        model['test_cfg'] = dict(
            mode='slide', crop_size=(height, width), stride=(height - 32, width - 32))
    return dict(model=model)


def _render(value: object, indent: int = 0) -> str:
    """A config value as Python, with dicts as calls, over several lines where they are long."""
    if not isinstance(value, dict):
        return repr(value)
    items = [f'{key}={_render(item, indent + 4)}' for key, item in value.items()]
    line = f'dict({", ".join(items)})'
    if '\n' not in line and indent + len(line) < 80:
        return line
    separator = ',\n' + ' ' * (indent + 4)
    return f'dict({separator[1:]}{separator.join(items)})'


def _difference(wanted: dict, given: dict) -> dict:
    """The part of ``wanted`` that ``given`` does not say already."""
    changes = {}
    for key, value in wanted.items():
        old = given.get(key)
        if not isinstance(value, dict):
            if value != old:
                changes[key] = value
        elif not isinstance(old, dict):
            changes[key] = _said(value)
        elif 'type' in value and value['type'] != old.get('type'):
            changes[key] = _said(value) | dict(_delete_=True)
        elif change := _difference(value, old):
            changes[key] = change
    return changes


def _said(wanted: dict) -> dict:
    """A dict without what must not be said."""
    return {key: _said(value) if isinstance(value, dict) else value
            for key, value in wanted.items() if value is not None}
