# ViT-B/16 with the CBT decoder on ADE20K. Published: 49.3 mIoU, single scale
# (arXiv 2509.16875v3); not trained here.
# Cost: decoder 7.8 GFLOPs (2 per multiply-add, without the mask product) at 512 x 512.
# bash tools/dist_train.sh configs/cbt/cbt-b_ade20k.py 8
_base_ = [
    '../_base_/models/vit-b-cbt-seg.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/ade20k.py', '../_base_/runtime/mmseg.py'
]
