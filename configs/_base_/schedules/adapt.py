# 50 epochs of AdamW that adapt a pretrained ViT to CBSA, total batch 512; weight decay falls on
# every parameter, and no gradient is clipped.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.01))
loss_scale = dict(init_scale=8192.)  # of --amp
# Set once per epoch e: 5e-5 min((e + 1) / 10, (1 + cos(pi e / 50)) / 2).
param_scheduler = dict(type='MinWarmupCosineLR', warmup=10, total=50, by_epoch=True)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=512)
