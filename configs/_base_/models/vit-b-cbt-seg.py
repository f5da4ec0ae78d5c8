# ViT-B/16, trained on ImageNet-21k, then 1k at 384 px, with a CBT decoder of 6 layers. A local
# file of the weights does as well; testing needs none.
_base_ = './vit-cbt-seg.py'
pretrained = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segmenter/vit_base_p16_384_20220308-96dfe169.pth'  # noqa: E501
model = dict(
    backbone=dict(
        arch=dict(embed_dims=768, num_heads=12),
        init_cfg=dict(type='Pretrained', checkpoint=pretrained)),
    decode_head=dict(in_channels=768, num_layers=6))
