# CBT with learnable representatives in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_cbt-learnable.py
_base_ = './cifar10_cbt.py'
model = dict(backbone=dict(attn_cfg=dict(representatives='learnable')))
