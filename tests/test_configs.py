from functools import partial
from inspect import signature
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
import released
import torch
import yaml
from mmengine.config import Config
from mmengine.dataset import BaseDataset, Compose
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.utils import to_2tuple
from PIL import Image
from torchvision import transforms

import cbsa_mm  # noqa: F401
from cbsa_mm.datasets.shapes import render
from cbsa_mm.engine.launch import CheckedRunner
from cbsa_mm.interpret import count_flops, count_parameters

CONFIGS = Path(__file__).parents[1] / 'configs'
# Without the detectors, which need mmdet: tests/test_detection.py.
EXPERIMENTS = sorted(set(CONFIGS.glob('*/*.py')) - set(CONFIGS.glob('detection/*.py')))
LISTED = {model['Config']: model['Metadata'] for metafile in CONFIGS.glob('*/metafile-*.yml')
          for model in yaml.safe_load(metafile.read_text())['Models']}
each_experiment = pytest.mark.parametrize('path', EXPERIMENTS, ids=lambda path: path.stem)


@DATASETS.register_module()
class FourShapes(BaseDataset):
    """Drawn images that suit the pipelines of all data sets; their labels are below 6."""

    def load_data_list(self):
        return [dict(
            img=render(0, i, 64, 1)[0],
            img_path=f'shapes://0/64/4/images/{i}.png',
            seg_map_path=f'shapes://0/64/4/labels/{i}.png',
            gt_label=i,
            label_map=None,
            reduce_zero_label=self.metainfo['reduce_zero_label'],
            seg_fields=[]) for i in range(4)]


def load(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    return cfg, cfg.model.get('decode_head') or cfg.model.head


def parts(dataset):
    """The data sets that one consists of, each with its class."""
    with DATASETS.switch_scope_and_registry(None) as registry:
        return [(part, registry.get(part.type)) for part in dataset.get('datasets', [dataset])]


@each_experiment
def test_command_batches_lengths_and_sizes_agree(path):
    cfg, _ = load(path)
    assert cfg.train_dataloader.batch_sampler.type == 'SeededBatchSampler'
    *_, command = takewhile(lambda line: line.startswith('#'), path.read_text().splitlines())
    config = path.relative_to(CONFIGS.parent)
    distributed = f'# bash tools/dist_train.sh {config} 8'
    assert command.removesuffix(' bfloat16').removesuffix(' --amp') in (
        distributed, f'# python tools/train.py {config}')
    if 'auto_scale_lr' in cfg:
        processes = 8 if command.startswith(distributed) else 1
        assert cfg.auto_scale_lr.base_batch_size == processes * cfg.train_dataloader.batch_size
    schedules = cfg.param_scheduler
    last = schedules[-1] if isinstance(schedules, list) else schedules
    length = cfg.train_cfg.get('max_iters') or cfg.train_cfg.max_epochs
    assert {last.get('end'), last.get('T_max'), last.get('total')} & {length, length + 1}
    size = to_2tuple(cfg.model.backbone.img_size)
    crops = [step.get('crop_size') or step.get('scale') or step.size
             for step in parts(cfg.train_dataloader.dataset)[0][0].pipeline if 'Crop' in step.type]
    if 'decode_head' in cfg.model:
        test_cfg = cfg.model.test_cfg
        crops += [cfg.model.data_preprocessor.size, test_cfg.get('crop_size', size)]
        assert test_cfg.mode == 'whole' or test_cfg.stride == tuple(
            side - 32 for side in test_cfg.crop_size)
    assert {to_2tuple(crop) for crop in crops} <= {size}


@each_experiment
def test_builds_at_full_size_as_its_metafile_says(path, monkeypatch):
    # Without memory for the tensors, but for those by which mmseg's heads find drop path rates.
    monkeypatch.setattr(torch, 'linspace', partial(torch.linspace, device='cpu'))
    cfg, head = load(path)
    size = cfg.model.backbone.img_size
    height, width = size if isinstance(size, tuple) else (size, size)
    with torch.device('meta'), torch.no_grad():
        model, outputs = MODELS.build(cfg.model).eval(), []
        flops = count_flops(lambda: outputs.append(
            model(torch.zeros(1, 3, height, width), mode='tensor')))
    assert outputs[0].shape[:2] == (1, head.num_classes)
    listed = LISTED[str(path.relative_to(CONFIGS.parent))]
    assert listed['Input Size'] == f'{height} x {width}'  # a text, as mim expects
    assert listed['Parameters'] == count_parameters(model)
    assert listed['FLOPs'] == flops
    for split in ('train', 'val', 'test'):
        for _, data_class in parts(cfg[f'{split}_dataloader'].dataset):
            classes = data_class.METAINFO.get('classes')
            assert classes is None or len(classes) == head.num_classes


def shrink(cfg, head):
    """Leaves 4 layers of width 48, or timm's smallest ViT, 64 pixels, and two iterations without
    validation, on shapes."""
    backbone, width = cfg.model.backbone, 48
    if backbone.type == 'TimmEncoder':
        width = 64
        backbone.update(model_name='test_vit', img_size=64, pretrained=False)
        if backbone.frozen:
            backbone.keep_weights = True  # the random ones
    else:
        backbone.update(arch=dict(embed_dims=width, num_layers=4, num_heads=3), img_size=64)
        backbone.init_cfg = None
    head.init_cfg = None
    if 'out_indices' in backbone:
        backbone.out_indices = (0, 1, 2, 3)
    if isinstance(backbone.get('attn_cfg'), list):
        backbone.attn_cfg = backbone.attn_cfg[:2] + backbone.attn_cfg[-2:]
    head.update({key: 1 for key in ('num_layers', 'num_heads', 'num_cross_layers') if key in head})
    for part in (head, cfg.model.get('neck', {})):
        for key in {'in_channels', 'out_channels', 'channels', 'embed_dims'} & set(part):
            part[key] = [width] * 4 if isinstance(part[key], list) else width
    if 'data_preprocessor' in cfg.model:
        cfg.model.data_preprocessor.size = (64, 64)
    pipeline = parts(cfg.train_dataloader.dataset)[0][0].pipeline
    small = dict(RandomResize=dict(scale=(256, 64)), FastRandomCrop=dict(crop_size=(64, 64)),
                 RandomCrop=dict(crop_size=(64, 64)), RandomResizedCrop=dict(scale=64))
    for step in pipeline:
        step.update(small.get(step.type, {}))
    metainfo = dict(reduce_zero_label=pipeline[1].get('reduce_zero_label', False))
    cfg.train_dataloader.dataset = dict(type='FourShapes', metainfo=metainfo, pipeline=pipeline)
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_cfg.update(dict(max_iters=2) if 'max_iters' in cfg.train_cfg else dict(max_epochs=1))
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.default_hooks.checkpoint = None


# The first of each folder; most others are equal once they are small.
SAMPLE = {path.parent: path for path in reversed(EXPERIMENTS)}.values()
TRAINED = set()


@pytest.mark.parametrize('path', [
    pytest.param(path, id=path.stem, marks=() if path in SAMPLE else pytest.mark.slow)
    for path in EXPERIMENTS])
def test_inherited_one_trains(path, tmp_path, monkeypatch):
    downstream = tmp_path / path.name
    downstream.write_text(f"_base_ = ['cbsa_mm::{path.relative_to(CONFIGS)}']")
    cfg, head = load(downstream)
    shrink(cfg, head)
    used = repr([cfg.get(part) for part in (
        'model', 'data_preprocessor', 'train_dataloader', 'optim_wrapper', 'param_scheduler')])
    if used in TRAINED:
        pytest.skip('equals one that was trained, once it is small')
    TRAINED.add(used)
    monkeypatch.setattr(Config, 'pretty_text', '')  # for the log; it takes longer than the training
    cfg.work_dir = str(tmp_path)
    runner = CheckedRunner.from_cfg(cfg)
    runner.train()
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == 2 and np.isfinite(losses).all()


@pytest.mark.parametrize('name', [
    'ade20k', 'camvid', 'cityscapes', 'clothing', 'pascal_context', 'voc12aug'])
def test_segmentation_data_are_read_from_the_layout_expected(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(CONFIGS / f'_base_/datasets/{name}.py')
    init_default_scope('mmseg')
    for split in ('train', 'val'):
        dataset = cfg[f'{split}_dataloader'].dataset
        for part, data_class in parts(dataset):
            defaults = signature(data_class).parameters
            for kind, suffix in (('img_path', 'img_suffix'), ('seg_map_path', 'seg_map_suffix')):
                folder = Path(part.data_root, part.data_prefix[kind])
                folder.mkdir(parents=True, exist_ok=True)
                values = np.ones((48, 64, 3) if kind == 'img_path' else (48, 64), np.uint8)
                Image.fromarray(values).save(folder / f'a{defaults[suffix].default}')
            if 'ann_file' in part:
                Path(part.data_root, part.ann_file).parent.mkdir(parents=True, exist_ok=True)
                Path(part.data_root, part.ann_file).write_text('a\n')
        data = DATASETS.build(dataset)
        assert len(data) == len(parts(dataset))
        for sample in data:
            assert sample['inputs'].ndim == 3
            assert sample['data_samples'].gt_sem_seg.data.unique().tolist() == [
                1 - (name == 'ade20k')]


def test_imagenet_evaluation_gives_the_published_crops():
    images = CONFIGS.parent / 'data/imagenet/val'
    if not images.exists():
        pytest.skip('ImageNet may not be shipped: data/imagenet/val is not there')
    cfg = Config.fromfile(CONFIGS / 'cbt/cbt-t_in1k.py')
    init_default_scope('mmpretrain')
    pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    for name, crop in released.read('imagenet_eval_pixels').items():
        [path] = images.glob(f'*/{name}*')
        inputs = pipeline(dict(img_path=str(path), gt_label=0))['inputs']
        assert torch.equal(inputs.permute(1, 2, 0).flip(-1), crop), name


@pytest.mark.parametrize('name', ['cifar10', 'flowers102'])
def test_fine_tuning_images_are_those_of_the_released_transforms(name, tmp_path):
    cfg = Config.fromfile(CONFIGS / f'finetune/cbt-t_{name}.py')
    init_default_scope('mmpretrain')
    file = tmp_path / 'image.jpg'
    pixels = render(0, 0, 96, 1)[0][:64]
    exif = Image.Exif()
    exif[0x0112] = 6  # turned, which PIL does not undo
    Image.fromarray(pixels).save(file, exif=exif)
    image = Image.open(file).convert('RGB')
    sample = dict(img=np.array(image)) if 'cifar' in name else dict(img_path=str(file))
    normalize = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406),
                                                             (0.229, 0.224, 0.225))]
    augment = [transforms.RandomResizedCrop((224, 224)), transforms.RandomHorizontalFlip(),
               transforms.RandAugment(2, 14)]
    preprocessor = MODELS.build(dict(cfg.data_preprocessor, type='ClsDataPreprocessor'))
    for split, steps in (('train', augment), ('test', [transforms.Resize((224, 224))])):
        pipeline = Compose(cfg[f'{split}_dataloader'].dataset.pipeline)
        published = transforms.Compose(steps + normalize)
        for seed in range(5 if split == 'train' else 1):
            torch.manual_seed(seed)
            inputs = pipeline(dict(sample))['inputs']
            torch.manual_seed(seed)
            expected = published(image)
            inputs = preprocessor(dict(inputs=inputs[None]))['inputs'][0]
            assert torch.allclose(inputs, expected, atol=1e-6), (split, seed)
