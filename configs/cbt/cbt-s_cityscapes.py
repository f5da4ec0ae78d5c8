# ViT-S/16 with the CBT decoder on Cityscapes, by Segmenter's recipe.
# No published figure is known here.
# bash tools/dist_train.sh configs/cbt/cbt-s_cityscapes.py 8
_base_ = [
    '../_base_/models/vit-s-cbt-seg.py', '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/cityscapes.py', '../_base_/runtime/mmseg.py'
]
model = _base_.model_for_data
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
