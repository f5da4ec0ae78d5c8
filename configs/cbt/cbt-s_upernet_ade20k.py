# CBT-S as the backbone of UPerNet on ADE20K, else as cbt-s_fcn_ade20k.py, weights included.
# No published figure is known here.
# bash tools/dist_train.sh configs/cbt/cbt-s_upernet_ade20k.py 8
_base_ = './cbt-s_fcn_ade20k.py'
model = dict(
    backbone=dict(out_indices=(2, 5, 8, 11)),
    neck=dict(
        type='MultiLevelNeck', in_channels=[384] * 4, out_channels=384, scales=[4, 2, 1, 0.5]),
    decode_head=dict(
        type='UPerHead', in_channels=[384] * 4, in_index=[0, 1, 2, 3], channels=512))
