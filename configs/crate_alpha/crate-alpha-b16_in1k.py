# CRATE-alpha-B/16 on ImageNet-1k, after ImageNet-21k. Published: 81.2 top-1 at 224 px
# (arXiv 2405.20299); not trained here.
# Fine-tuned as released (fine_tuning_in1k.py of UCSC-VLAA/CRATE-alpha), but from all weights of the
# backbone; there the kernel of the patch embedding starts anew.
# checkpoints/crate-alpha-b16_in21k.pth is what crate-alpha-b16_in21k.py trains.
# bash tools/dist_train.sh configs/crate_alpha/crate-alpha-b16_in1k.py 8 --amp bfloat16
_base_ = [
    '../_base_/models/alpha-cls.py', '../_base_/datasets/imagenet-crate-alpha.py',
    '../_base_/schedules/crate-alpha.py', '../_base_/runtime/mmpretrain.py'
]
model = dict(
    backbone=dict(
        arch='base',
        attn_cfg=dict(type='MSSA', out_bias=False),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/crate-alpha-b16_in21k.pth',
            prefix='backbone.')),
    head=dict(in_channels=768),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]))
