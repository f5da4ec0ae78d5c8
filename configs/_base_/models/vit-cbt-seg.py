# ViT/16 encoder and CBT mask-transformer decoder; experiments choose the sizes.
model = dict(
    type='SlidingEncoderDecoder',  # enlarges images to the window, as released
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size=(512, 512),
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255),
    backbone=dict(
        type='PlainViT',
        arch=dict(embed_dims=384, num_layers=12, num_heads=6),
        img_size=(512, 512),
        patch_size=16,
        out_type='featmap',
        drop_path_rate=0.1,  # of attention and MLP, up to this rate in the last layer
        norm_eps=1e-5,
        interpolate_mode='bilinear'),
    decode_head=dict(
        type='CBTMaskTransformerHead',
        in_channels=384,
        num_layers=3,
        num_heads=3,
        head_dims=100,
        num_classes=150,
        # The mean over labelled pixels, as in PyTorch; mmseg's default counts ignored ones too.
        loss_decode=dict(type='WeightedCrossEntropyLoss', avg_non_ignore=True)),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(480, 480)))
