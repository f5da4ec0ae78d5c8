# CRATE+CBT, MSSA in the first half of the layers, in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_hybrid.py
_base_ = './cifar10_cbt.py'
mssa, cbsa = dict(type='MSSA'), dict(type='CBSA', grid_size=4)
model = dict(backbone=dict(attn_cfg=[mssa] * 2 + [cbsa] * 2))
