# CBT classifier; experiments choose arch and in_channels.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='CBT', img_size=224, patch_size=16),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=None))  # PyTorch's default, as published
data_preprocessor = dict(
    num_classes=1000, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
