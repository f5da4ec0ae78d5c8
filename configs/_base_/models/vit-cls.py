# ViT/16 as classifier. Experiments choose arch, in_channels and pretrained weights, which fill
# backbone and head: 'timm://NAME' (pip install timm), or a file with timm's names for the tensors.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='PlainViT', img_size=224, init_cfg=dict(type='Pretrained')),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(
            type='Normal',
            layer='Linear',
            std=0.01,
            override=dict(type='Pretrained', name='fc', prefix='head.'))))
# As in the released code; the weights were trained with mean and std 127.5.
data_preprocessor = dict(
    num_classes=1000, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
