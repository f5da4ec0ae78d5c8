# DINOv3 ViT-B/16, frozen, and the CBT decoder on Cityscapes.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov3-b_frozen_cityscapes.py 8
_base_ = [
    '../_base_/models/foundation-cbt-seg.py', '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/foundation-20k.py', '../_base_/runtime/mmseg.py'
]
model = _base_.model_for_data
train_dataloader = dict(batch_size=2)
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
