# A tiny cbt-t_shapes whose hooks write down what they see.
_base_ = '../../configs/cbt/cbt-t_shapes.py'
custom_imports = dict(imports=['cbsa_mm', 'recorder'], allow_failed_imports=False)
model = dict(
    data_preprocessor=dict(size=(32, 32)),
    backbone=dict(
        arch=dict(embed_dims=16, num_layers=2, num_heads=2), img_size=32, drop_path_rate=0.5,
        attn_cfg=dict(type='CBSA', grid_size=2)),
    decode_head=dict(in_channels=16, attn_cfg=dict(type='CBSA', grid_size=2)))
train_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(size=32, num_images=50))
val_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(size=32, num_images=7))
test_dataloader = val_dataloader
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, begin=0, end=5, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=5, end=40, by_epoch=False),
]
train_cfg = dict(max_iters=12, val_interval=6)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=3))
custom_hooks = _base_.custom_hooks + [dict(type='Recorder')]
