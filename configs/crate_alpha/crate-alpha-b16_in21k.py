# CRATE-alpha-B/16 on ImageNet-21k, from scratch, as released (pre_training_in21k.py of
# UCSC-VLAA/CRATE-alpha); not trained here.
# Other sizes by model.backbone.arch and patch_size, and model.head.in_channels.
# bash tools/dist_train.sh configs/crate_alpha/crate-alpha-b16_in21k.py 8 --amp bfloat16
_base_ = [
    '../_base_/models/alpha-cls.py', '../_base_/datasets/imagenet21k.py',
    '../_base_/schedules/crate-alpha.py', '../_base_/runtime/mmpretrain.py'
]
model = dict(
    backbone=dict(arch='base', attn_cfg=dict(type='MSSA', out_bias=False)),
    head=dict(
        num_classes=19167,
        in_channels=768,
        loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]))
data_preprocessor = dict(num_classes=19167)
optim_wrapper = dict(optimizer=dict(lr=8e-4))
