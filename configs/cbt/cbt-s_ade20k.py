# ViT-S/16 with the CBT decoder on ADE20K. Published: 45.8 mIoU, single scale
# (arXiv 2509.16875v3); not trained here.
# Cost: decoder 2.3 GFLOPs (2 per multiply-add, without the mask product) at 512 x 512.
# bash tools/dist_train.sh configs/cbt/cbt-s_ade20k.py 8
_base_ = [
    '../_base_/models/vit-s-cbt-seg.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/ade20k.py', '../_base_/runtime/mmseg.py'
]
