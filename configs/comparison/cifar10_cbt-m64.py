# CBT with 64 representatives, one a patch, in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_cbt-m64.py
_base_ = './cifar10_cbt.py'
model = dict(backbone=dict(attn_cfg=dict(grid_size=8)))
