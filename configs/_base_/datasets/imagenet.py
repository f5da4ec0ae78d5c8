# ImageNet-1k, prepared as in published CBSA experiments: PIL resizing, crop and flip only.
# Expected: data/imagenet/{train,val}/<wnid>/*.JPEG, 1000 folders each.
load = dict(
    type='LoadImageFromFile',
    color_type='color_ignore_orientation',  # EXIF is ignored, as PIL.Image.open does
    imdecode_backend='pillow')
train_pipeline = [
    load,
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bilinear'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
resize = dict(
    type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bilinear')
test_pipeline = [load, resize, dict(type='CenterCrop', crop_size=224), dict(type='PackInputs')]
tta_pipeline = [
    load, resize, dict(type='CenterCrop', crop_size=224),
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0., direction='horizontal'),
         dict(type='RandomFlip', prob=1., direction='horizontal')],
        [dict(type='PackInputs')],
    ])
]
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='SeededBatchSampler'),
    dataset=dict(
        type='ImageNet', data_root='data/imagenet', data_prefix='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageNet', data_root='data/imagenet', data_prefix='val', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
