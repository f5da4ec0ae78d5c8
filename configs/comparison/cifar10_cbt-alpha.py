# CBT-alpha, CBT with the sparsification of CRATE-alpha, in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_cbt-alpha.py
_base_ = './cifar10_cbt.py'
model = dict(
    backbone=dict(arch=dict(embed_dims=40, num_heads=2), ffn_cfg=dict(type='ODL')),
    head=dict(in_channels=40))
