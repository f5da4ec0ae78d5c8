# CBT-dagger, with the output tied to the projection, in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_cbt-tied.py
_base_ = './cifar10_cbt.py'
model = dict(backbone=dict(attn_cfg=dict(output='tied')))
