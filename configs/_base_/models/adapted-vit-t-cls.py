# ViT-Ti/16 adapted to CBSA, from weights of ImageNet-21k. To make their file, download AugReg's
# from https://storage.googleapis.com/vit_models/augreg and convert it:
# python tools/convert_checkpoint.py \
#     Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0.npz \
#     checkpoints/vit_tiny_p16_in21k.pth
_base_ = './adapted-vit-cls.py'
model = dict(
    backbone=dict(
        arch='tiny',
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/vit_tiny_p16_in21k.pth')),
    head=dict(in_channels=192))
