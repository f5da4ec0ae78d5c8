# CBT with both step sizes of each head at 1 in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_cbt-steps1.py
_base_ = './cifar10_cbt.py'
model = dict(backbone=dict(attn_cfg=dict(learned_steps=False)))
