# CBT that pools the class token but not the last patch, as released, in the setting of
# cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_cbt-offset0.py
_base_ = './cifar10_cbt.py'
model = dict(backbone=dict(grid_offset=0))
