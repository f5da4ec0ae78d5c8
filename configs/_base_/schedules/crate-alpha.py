# 91 epochs of AdamW, total batch 4096, as in CRATE-alpha's fine-tuning; its pre-training has a
# higher learning rate. In the released code, weight decay falls on kernels alone: on the weights of
# linear layers and patch embedding, not on the dictionaries of ODL.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1.6e-4, betas=(0.9, 0.95), weight_decay=0.1),
    paramwise_cfg=dict(
        flat_decay_mult=0.,
        custom_keys={name: dict(decay_mult=0.) for name in ('cls_token', 'pos_embed', '.odl.')}),
    clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, end=10, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=81, eta_min=1e-6, begin=10, end=91, by_epoch=True,
         convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=91, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=4096)
