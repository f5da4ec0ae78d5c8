# CBT with the exact inverse in the contraction in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_cbt-inverse.py
_base_ = './cifar10_cbt.py'
model = dict(backbone=dict(attn_cfg=dict(contraction='inverse')))
