# CIFAR-10, or a part of it, as 32 x 32 image files in a folder for each class, for small models.
# Expected: data/cifar10_folders/{train,test}/<class>/*.png.
_base_ = './shapes-cls.py'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root='data/cifar10_folders',
        data_prefix='train',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        train_dataloader['dataset'], data_prefix='test', pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
