# 216 epochs of Cityscapes: 2,975 images, total batch 8, 372 iterations an epoch; Segmenter's.
# Validation every 4 epochs, with the final test's stride instead of Segmenter's 512.
_base_ = './ade20k.py'
max_iters = 216 * 372
optim_wrapper = dict(optimizer=dict(lr=1e-2))
# lr(t) = (1e-2 - 1e-5) (1 - t / T)^0.9 + 1e-5
param_scheduler = dict(end=max_iters + 1)
train_cfg = dict(max_iters=max_iters, val_interval=4 * 372)
