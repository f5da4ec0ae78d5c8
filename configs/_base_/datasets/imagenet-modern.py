# ImageNet-1k as in DeiT (arXiv 2012.12877): bicubic resizing, RandAugment (9, 0.5), random erasing,
# and three augmented versions of an image in an epoch, for a third of the images.
_base_ = './imagenet.py'
load = _base_.load
bgr_mean, bgr_std = [103.53, 116.28, 123.675], [57.375, 57.12, 58.395]
train_pipeline = [
    load,
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic')),
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=bgr_mean,
        fill_std=bgr_std),
    dict(type='PackInputs'),
]
resize = dict(
    type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic')
test_pipeline = [load, resize, dict(type='CenterCrop', crop_size=224), dict(type='PackInputs')]
tta_pipeline = [load, resize, *_base_.tta_pipeline[2:]]
train_dataloader = dict(
    batch_size=128,
    sampler=dict(_delete_=True, type='RepeatAugSampler', num_repeats=3),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
