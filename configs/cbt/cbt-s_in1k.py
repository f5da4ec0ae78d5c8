# CBT-S on ImageNet-1k. Published: 71.4 top-1 at 224 px (arXiv 2509.16875v3); not trained here.
# Cost: 6.7 M parameters, 4.0 GFLOPs as published (2 per multiply-add).
# bash tools/dist_train.sh configs/cbt/cbt-s_in1k.py 8 --amp
_base_ = [
    '../_base_/models/cbt-cls.py', '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet.py', '../_base_/runtime/mmpretrain.py'
]
model = dict(backbone=dict(arch='small'), head=dict(in_channels=384))
