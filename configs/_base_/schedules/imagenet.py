# 150 epochs of ImageNet-1k with Lion, total batch 256; weight decay falls on every parameter.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Lion', lr=2e-4, betas=(0.9, 0.99), weight_decay=0.05))
# Set once per epoch e: 2e-4 min((e + 1) / 20, (1 + cos(pi e / 150)) / 2).
param_scheduler = dict(type='MinWarmupCosineLR', warmup=20, total=150, by_epoch=True)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=150, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=256)
