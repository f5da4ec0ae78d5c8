# 31 epochs of ADE20K for decoders on pretrained encoders: 20,210 images, total batch 16, 1,264
# iterations an epoch. AdamW, learning rate, weight decay, power, batch and epochs are EoMT's for
# DINOv2 (arXiv 2503.19108; github.com/tue-mps/eomt, configs/dinov2/ade20k/semantic), whose warm-up
# in two stages is one here. Experiments set the batch of 2 per GPU.
max_iters = 31 * 1264
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0., begin=1500, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=4 * 1264)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=16)
