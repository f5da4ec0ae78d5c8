# DINOv2 ViT-B/14 with registers, frozen, and the CBT decoder on ADE20K, at 518 pixels:
# whole patches.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov2-b_frozen_ade20k.py 8
_base_ = [
    '../_base_/models/foundation-cbt-seg.py', '../_base_/datasets/ade20k-518.py',
    '../_base_/schedules/foundation.py', '../_base_/runtime/mmseg.py'
]
size = (518, 518)
model = dict(
    data_preprocessor=dict(size=size),
    backbone=dict(model_name='vit_base_patch14_reg4_dinov2.lvd142m', img_size=size),
    decode_head=dict(in_channels=768, num_layers=6),
    test_cfg=dict(crop_size=size, stride=(486, 486)))
train_dataloader = dict(batch_size=2)
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
