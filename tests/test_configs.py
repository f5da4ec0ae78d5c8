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
from mmengine.runner import Runner
from PIL import Image
from torchvision import transforms

import cbsa_mm  # noqa: F401
from cbsa_mm.datasets.shapes import render
from cbsa_mm.interpret import count_flops

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
def test_says_how_to_run_it(path):
    *_, command = takewhile(lambda line: line.startswith('#'), path.read_text().splitlines())
    config = path.relative_to(CONFIGS.parent)
    assert command in (f'# bash tools/dist_train.sh {config} 8',
                       f'# bash tools/dist_train.sh {config} 8 --amp',
                       f'# python tools/train.py {config}',
                       f'# python tools/train.py {config} --amp')


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
    assert listed['Input Size'] == [height, width]
    assert listed['Parameters'] == sum(p.numel() for p in model.parameters())
    assert listed['FLOPs'] == flops
    for split in ('train', 'val', 'test'):
        for part, data_class in parts(cfg[f'{split}_dataloader'].dataset):
            classes = data_class.METAINFO.get('classes')
            assert classes is None or len(classes) == head.num_classes
            checks = [step for step in part.pipeline if step.type == 'CheckSegLabels']
            assert all(step.num_classes == head.num_classes for step in checks)


def shrink(cfg, head):
    """Leaves 4 layers of width 48, 64 pixels, and two iterations without validation, on shapes."""
    backbone, sizes = cfg.model.backbone, dict(embed_dims=48, num_layers=4, num_heads=3)
    backbone.update(arch=sizes, img_size=64)
    backbone.init_cfg = head.init_cfg = None
    if 'out_indices' in backbone:
        backbone.out_indices = (0, 1, 2, 3)
    if isinstance(backbone.get('attn_cfg'), list):
        backbone.attn_cfg = backbone.attn_cfg[:2] + backbone.attn_cfg[-2:]
    for part in (head, cfg.model.get('neck', {})):
        for key in {'in_channels', 'out_channels', 'channels', 'embed_dims'} & set(part):
            part[key] = [48] * 4 if isinstance(part[key], list) else 48
    if 'data_preprocessor' in cfg.model:
        cfg.model.data_preprocessor.size = (64, 64)
    pipeline = parts(cfg.train_dataloader.dataset)[0][0].pipeline
    small = dict(RandomResize=dict(scale=(256, 64)), RandomCrop=dict(crop_size=(64, 64)),
                 RandomResizedCrop=dict(scale=64))
    for step in pipeline:
        step.update(small.get(step.type, {}))
    metainfo = dict(reduce_zero_label=pipeline[1].get('reduce_zero_label', False))
    cfg.train_dataloader.dataset = dict(type='FourShapes', metainfo=metainfo, pipeline=pipeline)
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_cfg.update(dict(max_iters=2) if 'max_iters' in cfg.train_cfg else dict(max_epochs=1))
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.default_hooks.checkpoint = None


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.e2e
@pytest.mark.both
@each_experiment
def test_trains(path, tmp_path, monkeypatch, one_thread):
    cfg, head = load(path)
    shrink(cfg, head)
    monkeypatch.setattr(Config, 'pretty_text', '')  # for the log; it takes longer than the training
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == 2 and np.isfinite(losses).all()


@pytest.mark.parametrize('name', ['ade20k', 'camvid', 'cityscapes', 'pascal_context', 'voc12aug'])
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


@pytest.mark.parametrize('size, layers, window', [('t', 3, 512), ('s', 3, 512), ('b', 6, 512),
                                                  ('l', 9, 640)])
def test_ade20k_recipe(size, layers, window):
    cfg = Config.fromfile(CONFIGS / f'cbt/cbt-{size}_ade20k.py')
    assert cfg.model.decode_head.num_layers == layers
    assert cfg.model.test_cfg == dict(
        mode='slide', crop_size=(window, window), stride=(window - 32, window - 32))
    assert cfg.model.backbone.img_size == cfg.model.data_preprocessor.size == (window, window)
    train, test = (cfg[f'{split}_dataloader'].dataset.pipeline for split in ('train', 'test'))
    assert train[3].scale == test[1].scale == (4 * window, window)
    assert [t.type for t in train] == [
        'LoadImageFromFile', 'LoadAnnotations', 'CheckSegLabels', 'RandomResize', 'RandomCrop',
        'RandomFlip', 'PhotoMetricDistortion', 'PackSegInputs']
    assert train[1].reduce_zero_label and train[3].ratio_range == (0.5, 2.0)
    assert train[4] == dict(type='RandomCrop', crop_size=(window, window), cat_max_ratio=0.75)
    assert cfg.model.backbone.interpolate_mode == 'bilinear'
    assert cfg.model.backbone.drop_path_rate == 0.1
    assert cfg.model.decode_head.loss_decode == dict(type='CrossEntropyLoss', avg_non_ignore=True)
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=1e-3, momentum=0.9, nesterov=True, weight_decay=0.)
    assert cfg.train_cfg.max_iters == 161728
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size == 8
    scales = [t.scale for t in cfg.tta_pipeline[1].transforms[0]]
    assert scales == [(int(4 * window * r), int(window * r)) for r in
                      (0.5, 0.75, 1, 1.25, 1.5, 1.75)]


@pytest.mark.parametrize('size, arch', [('t', 'tiny'), ('s', 'small'), ('b', 'base'),
                                        ('l', 'large')])
def test_imagenet_recipe(size, arch):
    cfg = Config.fromfile(CONFIGS / f'cbt/cbt-{size}_in1k.py')
    assert cfg.model.backbone.arch == arch
    assert cfg.optim_wrapper.optimizer == dict(
        type='Lion', lr=2e-4, betas=(0.9, 0.99), weight_decay=0.05)
    assert 'clip_grad' not in cfg.optim_wrapper
    assert set(cfg.optim_wrapper) == {'type', 'optimizer'}  # weight decay on every parameter
    assert cfg.model.head.loss == dict(
        type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')
    assert cfg.data_preprocessor == dict(
        num_classes=1000, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
    crop, flip = cfg.train_dataloader.dataset.pipeline[1:3]
    assert crop == dict(
        type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bilinear')
    assert flip == dict(type='RandomFlip', prob=0.5, direction='horizontal')
    assert cfg.train_cfg.max_epochs == 150
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size == 256


@pytest.mark.parametrize('size', 'tsbl')
def test_segmenter_has_the_width_and_heads_of_its_encoder(size):
    mask, linear = (Config.fromfile(CONFIGS / f'segmenter/segmenter-{kind}-{size}_ade20k.py').model
                    for kind in ('mask', 'linear'))
    head, vit = mask.decode_head, mask.backbone
    width = vit.arch.embed_dims
    assert head.in_channels == head.channels == head.embed_dims == width
    assert head.num_heads == vit.arch.num_heads == width // 64
    assert linear.decode_head.in_channels == linear.decode_head.channels == width


@pytest.mark.parametrize('size, layers', [('s', 3), ('b', 6)])
@pytest.mark.parametrize('name, classes, crop, short_side, interval, lr, batch, epochs, iters', [
    ('pascal-context', 60, 480, 520, 8, 1e-3, 16, 256, 313),
    ('cityscapes', 19, 768, 1024, 4, 1e-2, 8, 216, 372),
    ('voc12aug', 21, 512, 512, 4, 1e-3, 16, 64, 662),
])
def test_recipes_on_other_segmentation_data(size, layers, name, classes, crop, short_side,
                                            interval, lr, batch, epochs, iters):
    cfg = Config.fromfile(CONFIGS / f'cbt/cbt-{size}_{name}.py')
    stride, crop, head = crop - 32, (crop, crop), cfg.model.decode_head
    assert (head.num_classes, head.num_layers) == (classes, layers)
    assert cfg.model.test_cfg == dict(mode='slide', crop_size=crop, stride=(stride, stride))
    assert cfg.model.backbone.img_size == cfg.model.data_preprocessor.size == crop
    [train, *_], [test] = ([part.pipeline for part, _ in parts(cfg[f'{split}_dataloader'].dataset)]
                           for split in ('train', 'test'))
    assert train[3].scale == test[1].scale and min(test[1].scale) == short_side
    assert train[4].crop_size == crop
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=lr, momentum=0.9, nesterov=True, weight_decay=0.)
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size == batch
    assert cfg.train_cfg.max_iters == cfg.param_scheduler.end - 1 == epochs * iters
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval == interval * iters


@pytest.mark.parametrize('name', ['cifar10', 'cifar100', 'flowers102', 'pets'])
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
        for seed in range(20 if split == 'train' else 1):
            torch.manual_seed(seed)
            inputs = pipeline(dict(sample))['inputs']
            torch.manual_seed(seed)
            expected = published(image)
            inputs = preprocessor(dict(inputs=inputs[None]))['inputs'][0]
            assert torch.allclose(inputs, expected, atol=1e-6), (split, seed)


@pytest.mark.parametrize('size', 'tsbl')
@pytest.mark.parametrize('name, split', [
    ('cifar10', 'train'), ('cifar100', 'train'), ('flowers102', 'train'), ('pets', 'trainval')])
def test_fine_tuning_recipe(size, name, split):
    cfg = Config.fromfile(CONFIGS / f'finetune/cbt-{size}_{name}.py')
    pretrained = Config.fromfile(CONFIGS / f'cbt/cbt-{size}_in1k.py')
    assert cfg.model.backbone.pop('init_cfg') == dict(
        type='Pretrained', checkpoint=f'checkpoints/cbt-{size}_in1k.pth', prefix='backbone.')
    assert cfg.model.backbone == pretrained.model.backbone
    assert cfg.optim_wrapper.optimizer == dict(
        type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.01)
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size == 64
    assert cfg.model.head.loss == dict(type='CrossEntropyLoss')
    assert cfg.train_cfg.max_epochs == 400
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    assert (train.type, train.split, test.split) == (test.type, split, 'test')
