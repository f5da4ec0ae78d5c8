# ViT-L/16 adapted to CBSA, from weights of ImageNet-21k. To make their file, download AugReg's
# from https://storage.googleapis.com/vit_models/augreg and convert it:
# python tools/convert_checkpoint.py \
#     L_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.1-sd_0.1.npz \
#     checkpoints/vit_large_p16_in21k.pth
_base_ = './adapted-vit-cls.py'
model = dict(
    backbone=dict(
        arch='large',
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/vit_large_p16_in21k.pth')),
    head=dict(in_channels=1024))
