# Classification whose moving average of the weights is validated and saved.
_base_ = './mmpretrain.py'
default_hooks = dict(average=dict(type='EMAHook', momentum=4e-5))  # a decay of 0.99996
