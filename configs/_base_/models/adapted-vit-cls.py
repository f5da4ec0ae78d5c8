# ViT adapted to CBSA, as classifier; experiments choose arch, weights and in_channels.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='AdaptedViT', img_size=224),
    head=dict(type='LinearClsHead', num_classes=1000, loss=dict(type='CrossEntropyLoss')))
data_preprocessor = dict(
    num_classes=1000, mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True)
