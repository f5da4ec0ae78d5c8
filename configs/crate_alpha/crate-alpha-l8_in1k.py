# CRATE-alpha-L/8 on ImageNet-1k, after ImageNet-21k. Published: 85.1 top-1 at 224 px
# (arXiv 2405.20299); not trained here. As crate-alpha-b16_in1k.py.
# bash tools/dist_train.sh configs/crate_alpha/crate-alpha-l8_in1k.py 8 --amp bfloat16
_base_ = './crate-alpha-b16_in1k.py'
model = dict(
    backbone=dict(
        arch='large',
        patch_size=8,
        final_norm_eps=None,  # 1e-6 as in JAX: only B/16 and L/14 are ported
        init_cfg=dict(checkpoint='checkpoints/crate-alpha-l8_in21k.pth')),
    head=dict(in_channels=1024))
