# Six layers of width 192 with CBSA on CIFAR-10 in its own resolution, from scratch: one of the
# attentions that compare.py trains in the same setting; the others change attn_cfg alone.
# python tools/train.py configs/comparison/cifar10_cbsa.py
_base_ = [
    '../_base_/models/cbt-cls.py', '../_base_/datasets/cifar10-folders.py',
    '../_base_/schedules/adamw.py', '../_base_/runtime/mmpretrain.py'
]
randomness = dict(seed=0)
model = dict(
    backbone=dict(
        arch=dict(embed_dims=192, num_layers=6, num_heads=3),
        attn_cfg=dict(type='CBSA', grid_size=4),
        img_size=32,
        patch_size=4,
        grid_offset=1),
    head=dict(num_classes=10, in_channels=192))
data_preprocessor = dict(num_classes=10)
max_epochs = 12
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(
    _delete_=True, type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
