# A 4-layer CBT of width 192 that names procedural shapes: no files, minutes on a CPU.
# python tools/train.py configs/cbt/cbt-t_shapes-cls.py
_base_ = [
    '../_base_/models/cbt-cls.py', '../_base_/datasets/shapes-cls.py',
    '../_base_/schedules/adamw.py', '../_base_/runtime/mmpretrain.py'
]
randomness = dict(seed=0)
model = dict(
    backbone=dict(
        arch=dict(embed_dims=192, num_layers=4, num_heads=3),
        img_size=128, patch_size=8, grid_offset=1),
    head=dict(num_classes=5, in_channels=192))
data_preprocessor = dict(num_classes=5)
max_epochs = 4
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(
    _delete_=True, type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
