# ViT-L/16, trained on ImageNet-21k, then 1k at 384 px, with a CBT decoder of 9 layers. A local
# file of the weights does as well; testing needs none.
_base_ = './vit-cbt-seg.py'
pretrained = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segmenter/vit_large_p16_384_20220308-d4efb41d.pth'  # noqa: E501
model = dict(
    backbone=dict(
        arch=dict(embed_dims=1024, num_layers=24, num_heads=16),
        init_cfg=dict(type='Pretrained', checkpoint=pretrained)),
    decode_head=dict(in_channels=1024, num_layers=9))
