# 300 epochs of AdamW, total batch 1024, as in DeiT (arXiv 2012.12877; main.py of
# facebookresearch/deit); weight decay falls on matrices alone.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        flat_decay_mult=0.,
        custom_keys={name: dict(decay_mult=0.) for name in ('cls_token', 'pos_embed')}))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, end=5, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=295, eta_min=1e-5, begin=5, end=300, by_epoch=True,
         convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=1024)
