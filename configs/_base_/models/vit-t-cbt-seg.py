# ViT-Ti/16, trained on ImageNet-21k, then 1k at 384 px, with a CBT decoder of 3 layers. A local
# file of the weights does as well; testing needs none.
_base_ = './vit-cbt-seg.py'
pretrained = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segmenter/vit_tiny_p16_384_20220308-cce8c795.pth'  # noqa: E501
model = dict(
    backbone=dict(
        arch=dict(embed_dims=192, num_heads=3),
        init_cfg=dict(type='Pretrained', checkpoint=pretrained)),
    decode_head=dict(in_channels=192))
