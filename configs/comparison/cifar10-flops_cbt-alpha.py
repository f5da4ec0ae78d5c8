# CBT-alpha of a width that costs as many FLOPs as cifar10_cbt, within 6 %.
# python tools/train.py configs/comparison/cifar10-flops_cbt-alpha.py
_base_ = './cifar10_cbt-alpha.py'
model = dict(backbone=dict(arch=dict(embed_dims=36)), head=dict(in_channels=36))
