# ViT-B/16 with the CBT decoder on PASCAL VOC 2012 with SBD, by a recipe of our own.
# No published figure is known here.
# bash tools/dist_train.sh configs/cbt/cbt-b_voc12aug.py 8
_base_ = [
    '../_base_/models/vit-b-cbt-seg.py', '../_base_/datasets/voc12aug.py',
    '../_base_/schedules/voc12aug.py', '../_base_/runtime/mmseg.py'
]
model = _base_.model_for_data
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
