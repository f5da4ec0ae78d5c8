# ViT of a width that costs as many FLOPs as cifar10_cbt, within 6 %.
# python tools/train.py configs/comparison/cifar10-flops_vit.py
_base_ = './cifar10_vit.py'
model = dict(backbone=dict(arch=dict(embed_dims=40)), head=dict(in_channels=40))
