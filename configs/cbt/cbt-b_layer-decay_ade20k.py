# ViT-B/16 with the CBT decoder on ADE20K, fine-tuned with layer-wise decay of learning rates, in
# the schedule of mmsegmentation's configs for MAE (arXiv 2111.06377).
# No published figure is known here.
# bash tools/dist_train.sh configs/cbt/cbt-b_layer-decay_ade20k.py 8
_base_ = './cbt-b_ade20k.py'
max_iters = 160000
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.65),
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', power=1., eta_min=0., begin=1500, end=max_iters, by_epoch=False),
]
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=max_iters, val_interval=16000)
default_hooks = dict(checkpoint=dict(interval=16000))
auto_scale_lr = dict(base_batch_size=16)
