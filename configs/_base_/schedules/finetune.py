# 400 epochs of AdamW, total batch 64; weight decay falls on every parameter. Learning rate, weight
# decay and batch size are the paper's, the rest is the released finetune.py's (whose own defaults
# are a rate of 1e-4 and batches of 50).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.01))
# Set once per epoch e: 5e-5 (1 + cos(pi (e - 2) / 400)) / 2 from epoch 1 on, and 5e-5 in epoch 0;
# the released code steps its cosine with epoch - 1 at the end of each epoch.
param_scheduler = dict(
    type='MinWarmupCosineLR', warmup=0, total=400, lag=1, begin=1, end=400, by_epoch=True)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=400, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=64)
