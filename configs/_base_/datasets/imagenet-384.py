# ImageNet-1k as in imagenet.py, at 384 px.
_base_ = './imagenet.py'
train_pipeline = [
    _base_.load,
    dict(type='RandomResizedCrop', scale=384, backend='pillow', interpolation='bilinear'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
resize = dict(  # to 384 * 256 / 224
    type='ResizeEdge', scale=438, edge='short', backend='pillow', interpolation='bilinear')
test_pipeline = [
    _base_.load, resize, dict(type='CenterCrop', crop_size=384), dict(type='PackInputs')
]
tta_pipeline = [
    _base_.load, resize, dict(type='CenterCrop', crop_size=384),
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0., direction='horizontal'),
         dict(type='RandomFlip', prob=1., direction='horizontal')],
        [dict(type='PackInputs')],
    ])
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
