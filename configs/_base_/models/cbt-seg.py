# A small CBT as encoder, from scratch, and the CBT mask-transformer decoder: all white-box.
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size=(128, 128),
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255),
    backbone=dict(
        type='CBT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3),
        img_size=128,
        patch_size=8,
        grid_offset=1,
        out_type='featmap'),
    decode_head=dict(
        type='CBTMaskTransformerHead',
        in_channels=192,
        num_layers=2,
        head_dims=64,
        num_classes=6,
        loss_decode=dict(type='WeightedCrossEntropyLoss', avg_non_ignore=True)),
    test_cfg=dict(mode='whole'))
