# CRATE-alpha-L/14 on ImageNet-1k, after ImageNet-21k. Published: 83.9 top-1 at 224 px
# (arXiv 2405.20299); not trained here. As crate-alpha-b16_in1k.py.
# bash tools/dist_train.sh configs/crate_alpha/crate-alpha-l14_in1k.py 8 --amp bfloat16
_base_ = './crate-alpha-b16_in1k.py'
model = dict(
    backbone=dict(
        arch='large',
        patch_size=14,
        init_cfg=dict(checkpoint='checkpoints/crate-alpha-l14_in21k.pth')),
    head=dict(in_channels=1024))
