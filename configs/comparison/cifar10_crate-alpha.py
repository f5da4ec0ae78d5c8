# CRATE-alpha, with CBT's stem, in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_crate-alpha.py
_base_ = './cifar10_cbt.py'
model = dict(
    backbone=dict(
        arch=dict(embed_dims=40, num_heads=2),
        attn_cfg=dict(_delete_=True, type='MSSA'),
        ffn_cfg=dict(type='ODL')),
    head=dict(in_channels=40))
