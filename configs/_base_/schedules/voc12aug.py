# 64 epochs of VOC 2012 with SBD: 10,582 images, total batch 16, 662 iterations an epoch. Neither
# CBSA nor Segmenter publishes a recipe for it; this is our choice, ADE20K's with a larger batch.
_base_ = './ade20k.py'
max_iters = 64 * 662
param_scheduler = dict(end=max_iters + 1)
train_cfg = dict(max_iters=max_iters, val_interval=4 * 662)
auto_scale_lr = dict(base_batch_size=16)
