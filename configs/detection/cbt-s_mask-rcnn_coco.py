# CBT-S under Mask R-CNN with ViTDet's simple feature pyramid on COCO, in ViTDet's schedule.
# No published figure is known here.
# Needs mmdet (docs/detection.md). checkpoints/cbt-s_in1k.pth is what cbt/cbt-s_in1k.py trains, or
# a released CBT-S, converted by tools/model_converters/convert_checkpoint.py.
# bash tools/dist_train.sh configs/detection/cbt-s_mask-rcnn_coco.py 8
_base_ = [
    '../_base_/models/cbt-mask-rcnn.py', '../_base_/datasets/coco.py',
    '../_base_/schedules/vitdet.py', '../_base_/runtime/mmdet.py'
]
model = dict(
    backbone=dict(
        arch='small',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/cbt-s_in1k.pth', prefix='backbone.')),
    neck=dict(in_channels=384))
