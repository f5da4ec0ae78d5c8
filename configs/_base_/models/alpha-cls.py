# Classifier with the layers of CRATE-alpha: patches as tokens, sparse codes of an overcomplete
# dictionary (ODL) after the attention. Experiments choose arch, attention and in_channels.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='PlainViT',
        img_size=224,
        patch_size=16,
        ffn_cfg=dict(type='ODL'),
        final_norm_eps=1e-5),  # as in the released PyTorch code; 1e-6 in JAX
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='Normal', layer='Linear', std=0.02)))
data_preprocessor = dict(
    num_classes=1000, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
