# CBT-S as the backbone of an FCN head on ADE20K. No published figure is known here.
# checkpoints/cbt-s_in1k.pth is what cbt-s_in1k.py trains, or a released CBT-S, converted by
# tools/model_converters/convert_checkpoint.py.
# bash tools/dist_train.sh configs/cbt/cbt-s_fcn_ade20k.py 8
_base_ = [
    '../_base_/models/vit-cbt-seg.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/ade20k.py', '../_base_/runtime/mmseg.py'
]
model = dict(
    # The pixels as CBT-S has seen them in classification.
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='CBT',
        arch='small',
        img_size=(512, 512),
        grid_offset=1,
        out_type='featmap',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/cbt-s_in1k.pth', prefix='backbone.')),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=384,
        channels=256,
        norm_cfg=dict(type='BN'),
        num_classes=150,
        loss_decode=dict(type='WeightedCrossEntropyLoss', avg_non_ignore=True)))
