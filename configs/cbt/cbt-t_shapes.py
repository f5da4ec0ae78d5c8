# A 4-layer CBT of width 192 with the CBT decoder on procedural shapes: no files, minutes on a CPU.
# python tools/train.py configs/cbt/cbt-t_shapes.py
_base_ = [
    '../_base_/models/cbt-seg.py', '../_base_/datasets/shapes.py', '../_base_/schedules/adamw.py',
    '../_base_/runtime/mmseg.py'
]
randomness = dict(seed=0)
max_iters = 700
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=50, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
