# foundation.py in 20,000 iterations, for Cityscapes and VOC: the length at which
# github.com/tue-mps/benchmark-vfm-ss (arXiv 2404.12172) fine-tunes encoders there.
_base_ = './foundation.py'
max_iters = 20000
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0., begin=1500, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=2000)
