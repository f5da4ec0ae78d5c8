# CBT-alpha-S: CRATE-alpha's layers with the attention of CBT, on ImageNet-1k with DeiT's recipe
# (arXiv 2012.12877): its augmentation, schedule, stochastic depth and moving average. No score is
# known: not trained here.
# bash tools/dist_train.sh configs/cbt_alpha/cbt-alpha-s_in1k.py 8 --amp bfloat16
_base_ = [
    '../_base_/models/alpha-cls.py', '../_base_/datasets/imagenet-modern.py',
    '../_base_/schedules/modern.py', '../_base_/runtime/mmpretrain-ema.py'
]
model = dict(
    backbone=dict(
        arch='small',
        attn_cfg=dict(type='CBSA', grid_size=8, out_bias=False),
        grid_offset=1,
        drop_path_rate=0.1),
    head=dict(in_channels=384),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]))
