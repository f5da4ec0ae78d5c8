# 256 epochs of PASCAL-Context: 4,998 images, total batch 16, 313 iterations an epoch; Segmenter's.
# Validation every 8 epochs, with the final test's stride instead of Segmenter's 320.
_base_ = './ade20k.py'
max_iters = 256 * 313
param_scheduler = dict(end=max_iters + 1)
train_cfg = dict(max_iters=max_iters, val_interval=8 * 313)
auto_scale_lr = dict(base_batch_size=16)
