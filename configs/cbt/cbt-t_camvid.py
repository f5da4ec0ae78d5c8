# A 4-layer CBT of width 192 with the CBT decoder on CamVid, from scratch: real images on a CPU.
# python tools/train.py configs/cbt/cbt-t_camvid.py
_base_ = [
    '../_base_/models/cbt-seg.py', '../_base_/datasets/camvid.py', '../_base_/schedules/adamw.py',
    '../_base_/runtime/mmseg.py'
]
randomness = dict(seed=0)
model = dict(
    data_preprocessor=dict(size=(240, 320)),
    backbone=dict(img_size=(240, 320)),
    decode_head=dict(num_classes=11))
max_iters = 900
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=50, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
