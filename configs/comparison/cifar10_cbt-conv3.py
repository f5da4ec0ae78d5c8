# CBT with a depth-wise convolution beside the attention in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_cbt-conv3.py
_base_ = './cifar10_cbt.py'
model = dict(backbone=dict(attn_cfg=dict(conv_size=3)))
