# ViT-L/16 with the CBT decoder on ADE20K. Published: 53.3 mIoU, single scale
# (arXiv 2509.16875v3); not trained here.
# Cost: decoder 22.3 GFLOPs (2 per multiply-add, without the mask product) at 640 x 640.
# bash tools/dist_train.sh configs/cbt/cbt-l_ade20k.py 8
_base_ = [
    '../_base_/models/vit-l-cbt-seg.py', '../_base_/datasets/ade20k-640.py',
    '../_base_/schedules/ade20k.py', '../_base_/runtime/mmseg.py'
]
crop_size = (640, 640)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size),
    test_cfg=dict(crop_size=crop_size, stride=(608, 608)))
