# CBT of 75,000 parameters on CIFAR-10 in its own resolution, from scratch in minutes: one of the
# models that compare.py trains in the same setting. The others differ by their attention and the
# step after it, and by the width that gives them as many parameters.
# python tools/train.py configs/comparison/cifar10_cbt.py
_base_ = [
    '../_base_/models/cbt-cls.py', '../_base_/datasets/cifar10-folders.py',
    '../_base_/schedules/adamw.py', '../_base_/runtime/mmpretrain.py'
]
model = dict(
    backbone=dict(
        arch=dict(embed_dims=64, num_layers=4, num_heads=4),
        attn_cfg=dict(type='CBSA', grid_size=4),
        img_size=32,
        patch_size=4,
        grid_offset=1),
    head=dict(num_classes=10, in_channels=64))
data_preprocessor = dict(num_classes=10)
train_dataloader = dict(batch_size=128)
max_epochs = 3
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(
    _delete_=True, type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
