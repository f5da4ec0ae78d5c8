"""Configs for converted weights: a shipped one that fits, or a new one with their sizes."""
import os.path as osp
from pathlib import Path

import yaml
from mmengine.config import Config

from cbsa_mm.errors import UserError
from cbsa_mm.layers.archs import ARCHS

from .write import write_whole

# The shipped configs that a new one starts from, by a segmenter's head; None for classifiers.
STARTS = {
    None: 'cbt/cbt-s_in1k.py',
    'CBTMaskTransformerHead': 'cbt/cbt-s_ade20k.py',
    'DEPICTSAHead': 'depict/depict-sa-s_ade20k.py',
    'DEPICTCAHead': 'depict/depict-ca-s_ade20k.py',
}


def find_config(library: str, facts: dict, configs: Path) -> tuple[Config, Path | None]:
    """Finds the shipped config that fits a model, or makes one.

    Args:
        library: 'mmseg' or 'mmpretrain'.
        facts: Result of :func:`cbsa_mm.checkpoints.describe`.
        configs: The folder of the shipped configs.

    Returns:
        The config, and its file if it is a shipped one.

    Raises:
        UserError: If a property that the config needs is unknown.
    """
    for name in ('num_heads', 'img_size'):
        if not facts[name]:
            raise UserError(f'a config needs {name}, which the tensors do not show: '
                            + ('give --num-heads, or ' if name == 'num_heads' else '')
                            + "put the segmenter's variant.yml next to SRC")
    wanted = _segmenter(facts) if library == 'mmseg' else _classifier(facts)
    for path in _candidates(configs, facts):
        cfg = Config.fromfile(path)
        if cfg.default_scope == library and _fits(wanted, cfg.to_dict()):
            return cfg, path
    cfg = Config.fromfile(configs / STARTS[facts['head'] if library == 'mmseg' else None])
    cfg.model.backbone.pop('init_cfg', None)  # of other sizes
    side = 512 if library == 'mmseg' else 224
    if library == 'mmpretrain' or 'test_cfg' in wanted['model']:  # not just an encoder
        cfg = Config(_resize(cfg.to_dict(), side, facts['img_size']))
    _merge(cfg, wanted)
    return cfg, None


def _candidates(configs: Path, facts: dict) -> list[Path]:
    """Shipped configs with as many parameters as a model; for an encoder alone, all of them."""
    if 'num_classes' not in facts or 'num_parameters' not in facts:
        return sorted(configs.glob('[!_]*/*.py'))
    return sorted(
        configs.parent / model['Config'] for metafile in configs.glob('*/metafile-*.yml')
        for model in yaml.safe_load(metafile.read_text())['Models']
        if model['Metadata']['Parameters'] == facts['num_parameters'])


def write_config(path: Path, title: str, cfg: Config, shipped: Path | None,
                 init_cfg: dict | None = None) -> None:
    """Writes a config to a file: complete, or inheriting from a shipped one.

    Args:
        path: The file.
        title: Its first line.
        cfg: The config.
        shipped: Its file, if it is a shipped one.
        init_cfg: The initialization of its backbone, if it differs from the config's.
    """
    text = f'# {title}\n'
    if shipped:
        text += f'_base_ = {osp.relpath(shipped.resolve(), path.parent.resolve())!r}\n'
        if init_cfg:
            old = cfg.model.backbone.get('init_cfg')
            init_cfg = dict(init_cfg, _delete_=True) if old else init_cfg
            text += f'model = dict(backbone=dict(init_cfg={init_cfg}))\n'
    else:
        cfg.merge_from_dict({'model.backbone.init_cfg': init_cfg} if init_cfg else {})
        text += cfg.pretty_text
    write_whole(path, lambda file: file.write_text(text))


def _sizes(facts: dict) -> dict:
    return {name: facts[name] for name in ('embed_dims', 'num_layers', 'num_heads')}


def _side(size: tuple[int, int]) -> int | tuple[int, int]:
    return size[0] if size[0] == size[1] else size


def _classifier(facts: dict) -> dict:
    """The config values that a classifier requires; None for keys that must be absent."""
    preprocessor = dict(num_classes=facts.get('num_classes', 1000))
    if 'mlp_dims' in facts:
        preprocessor.update(mean=facts['mean'], std=facts['std'], to_rgb=True)
        backbone = _mmpretrain_vit(facts)
        head = 'DeiTClsHead' if facts['distilled'] else 'VisionTransformerClsHead'
    else:
        sizes = _sizes(facts)
        if facts['head_dims'] * facts['num_heads'] != facts['embed_dims']:
            sizes['head_dims'] = facts['head_dims']
        arch = next((name for name, arch in ARCHS.items() if arch == sizes), sizes)
        backbone = dict(
            attn_cfg=None, ffn_cfg=None, stem=None, arch=arch, img_size=_side(facts['img_size']),
            patch_size=facts['patch_size']) | facts['backbone']
        head = 'LinearClsHead'
    head = dict(
        type=head, num_classes=preprocessor['num_classes'], in_channels=facts['embed_dims'])
    return dict(
        data_preprocessor=preprocessor,
        model=dict(type='ImageClassifier', backbone=backbone, head=head))


def _mmpretrain_vit(facts: dict) -> dict:
    return dict(
        type='DistilledVisionTransformer' if facts['distilled'] else 'VisionTransformer',
        arch=_sizes(facts) | dict(feedforward_channels=facts['mlp_dims']),
        img_size=_side(facts['img_size']),
        patch_size=facts['patch_size'])


def _segmenter(facts: dict) -> dict:
    """The same for a segmenter, or just its encoder."""
    backbone = _mmpretrain_vit(facts)
    if facts['distilled']:  # PlainViT has no distillation token
        backbone.update(
            type='mmpretrain.DistilledVisionTransformer', out_type='featmap', drop_path_rate=0.1,
            # As in the released segmenter; the defaults differ.
            norm_cfg=dict(type='LN', eps=1e-5), interpolate_mode='bilinear')
    else:
        backbone = dict(type='PlainViT', arch=_sizes(facts), patch_size=facts['patch_size'])
        if facts['mlp_dims'] != 4 * facts['embed_dims']:
            backbone['ffn_cfg'] = dict(ratio=facts['mlp_dims'] / facts['embed_dims'])
    head = dict(type=facts['head'], in_channels=facts['embed_dims'], attn_cfg=None)
    model = dict(type='SlidingEncoderDecoder', backbone=backbone, decode_head=head)
    if 'decoder_num_layers' not in facts:
        return dict(model=model)
    size = height, width = facts['img_size']
    if not facts['distilled']:
        backbone['img_size'] = size
    for name in ('num_layers', 'num_heads', 'head_dims'):
        head[name] = facts[f'decoder_{name}']
    if 'decoder_num_cross_layers' in facts:
        head['num_cross_layers'] = facts['decoder_num_cross_layers']
        head['cross_head_dims'] = facts['decoder_cross_head_dims']
    head['num_classes'] = facts['num_classes']
    model['data_preprocessor'] = dict(size=size, mean=facts['mean'], std=facts['std'])
    model['test_cfg'] = dict(mode='slide', crop_size=size, stride=(height - 32, width - 32))
    return dict(model=model)


def _fits(wanted: object, given: object) -> bool:
    """Whether a config has the required values."""
    if not isinstance(wanted, dict):
        return wanted == given
    return isinstance(given, dict) and all(
        _fits(value, given.get(key)) for key, value in wanted.items())


def _merge(cfg: dict, wanted: dict) -> None:
    """Sets a config's required values."""
    for key, value in wanted.items():
        if value is None:
            cfg.pop(key, None)
        elif not isinstance(value, dict):
            cfg[key] = value
        else:
            old = cfg.get(key)
            if not isinstance(old, dict) or value.get('type', old.get('type')) != old.get('type'):
                cfg[key] = {}
            _merge(cfg[key], value)


def _resize(value: object, old: int, new: tuple[int, int]) -> object:
    """Scales the sizes in a config's pipelines to another image size."""
    if isinstance(value, list):
        return [_resize(item, old, new) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _scale(item, old, new) if key in ('scale', 'crop_size')
            else _resize(item, old, new) for key, item in value.items()}


def _scale(value: int | tuple, old: int, new: tuple[int, int]) -> int | tuple:
    if value in (old, (old, old)):
        return _side(new) if value == old else new
    if isinstance(value, list | tuple):
        return type(value)(_scale(item, old, (min(new), min(new))) for item in value)
    return round(value * min(new) / old)
