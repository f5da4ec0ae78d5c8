# A tiny cbt-t_shapes-cls whose hooks write down what they see, with a seed that nobody chose.
_base_ = '../../configs/cbt/cbt-t_shapes-cls.py'
custom_imports = dict(imports=['cbsa_mm', 'recorder'], allow_failed_imports=False)
randomness = dict(seed=None)
model = dict(
    backbone=dict(arch=dict(embed_dims=16, num_layers=2, num_heads=2), drop_path_rate=0.5),
    head=dict(in_channels=16))
train_dataloader = dict(batch_size=5, dataset=dict(num_images=12))
val_dataloader = dict(num_workers=0, dataset=dict(num_images=8))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=3, val_interval=1)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))
custom_hooks = _base_.custom_hooks + [dict(type='Recorder')]
