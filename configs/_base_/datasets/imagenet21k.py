# ImageNet-21k (winter 2021: 19,167 classes), prepared as ImageNet-1k in imagenet.py.
# Expected: data/imagenet21k/{train,val}/<wnid>/*.JPEG, the same folders in both.
_base_ = './imagenet.py'
train_dataloader = dict(
    batch_size=512,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root='data/imagenet21k',
        data_prefix='train',
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        train_dataloader['dataset'], data_prefix='val', pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
