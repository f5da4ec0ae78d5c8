# ViT-B/16 with the CBT decoder on ADE20K. Published: 49.3 mIoU, single scale
# (arXiv 2509.16875v3); not trained here.
# Cost: decoder 7.8 GFLOPs (2 per multiply-add, without the mask product) at 512 x 512.
# bash tools/dist_train.sh configs/cbt/cbt-b_ade20k.py 8
_base_ = [
    '../_base_/models/vit-cbt-seg.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/ade20k.py', '../_base_/runtime/mmseg.py'
]
# Trained on ImageNet-21k, then 1k at 384 px. A local file does as well; testing needs none.
pretrained = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segmenter/vit_base_p16_384_20220308-96dfe169.pth'  # noqa: E501
model = dict(
    backbone=dict(
        embed_dims=768, num_heads=12, init_cfg=dict(type='Pretrained', checkpoint=pretrained)),
    decode_head=dict(in_channels=768, num_layers=6))
