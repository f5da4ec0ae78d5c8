# ViT-L/16 with the CBT decoder on ADE20K. Published: 53.3 mIoU, single scale
# (arXiv 2509.16875v3); not trained here.
# Cost: decoder 22.3 GFLOPs (2 per multiply-add, without the mask product) at 640 x 640.
# bash tools/dist_train.sh configs/cbt/cbt-l_ade20k.py 8
_base_ = [
    '../_base_/models/vit-l-cbt-seg.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/ade20k.py', '../_base_/runtime/mmseg.py'
]
# The base's pipelines at 640 instead of 512.
crop_size = (640, 640)
scale = (2560, 640)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size),
    test_cfg=dict(crop_size=crop_size, stride=(608, 608)))
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[3].scale = test_pipeline[1].scale = scale
train_pipeline[4].crop_size = crop_size
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(int(r * 2560), int(r * 640)), keep_ratio=True)
    for r in _base_.tta_ratios
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
