# CRATE+CBT of a width that costs as many FLOPs as cifar10_cbt, within 6 %.
# python tools/train.py configs/comparison/cifar10-flops_hybrid.py
_base_ = './cifar10_hybrid.py'
model = dict(backbone=dict(arch=dict(embed_dims=60)), head=dict(in_channels=60))
