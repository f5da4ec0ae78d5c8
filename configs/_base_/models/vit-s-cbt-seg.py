# ViT-S/16, trained on ImageNet-21k, then 1k at 384 px, with a CBT decoder of 3 layers. A local
# file of the weights does as well; testing needs none.
_base_ = './vit-cbt-seg.py'
pretrained = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segmenter/vit_small_p16_384_20220308-410f6037.pth'  # noqa: E501
model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=pretrained)))
