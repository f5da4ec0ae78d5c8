# DINOv3 ViT-B/16, frozen, and the CBT decoder on ADE20K.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov3-b_frozen_ade20k.py 8
_base_ = [
    '../_base_/models/foundation-cbt-seg.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/foundation.py', '../_base_/runtime/mmseg.py'
]
model = dict(
    backbone=dict(model_name='vit_base_patch16_dinov3.lvd1689m'),
    decode_head=dict(in_channels=768, num_layers=6))
train_dataloader = dict(batch_size=2)
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
