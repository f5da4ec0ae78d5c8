# ViT-Ti/16 with the CBT decoder on ADE20K. Published: 39.1 mIoU, single scale
# (arXiv 2509.16875v3); not trained here.
# Cost: decoder 1.5 GFLOPs (2 per multiply-add, without the mask product) at 512 x 512.
# bash tools/dist_train.sh configs/cbt/cbt-t_ade20k.py 8
_base_ = [
    '../_base_/models/vit-cbt-seg.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/ade20k.py', '../_base_/runtime/mmseg.py'
]
# Trained on ImageNet-21k, then 1k at 384 px. A local file does as well; testing needs none.
pretrained = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segmenter/vit_tiny_p16_384_20220308-cce8c795.pth'  # noqa: E501
model = dict(
    backbone=dict(
        embed_dims=192, num_heads=3, init_cfg=dict(type='Pretrained', checkpoint=pretrained)),
    decode_head=dict(in_channels=192))
