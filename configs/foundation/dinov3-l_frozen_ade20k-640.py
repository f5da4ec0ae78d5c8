# DINOv3 ViT-L/16, frozen, and the CBT decoder on ADE20K, at 640 pixels.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov3-l_frozen_ade20k-640.py 8
_base_ = [
    '../_base_/models/foundation-cbt-seg.py', '../_base_/datasets/ade20k-640.py',
    '../_base_/schedules/foundation.py', '../_base_/runtime/mmseg.py'
]
size = (640, 640)
model = dict(
    data_preprocessor=dict(size=size),
    backbone=dict(model_name='vit_large_patch16_dinov3.lvd1689m', img_size=size),
    decode_head=dict(in_channels=1024, num_layers=9),
    test_cfg=dict(crop_size=size, stride=(608, 608)))
train_dataloader = dict(batch_size=2)
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
