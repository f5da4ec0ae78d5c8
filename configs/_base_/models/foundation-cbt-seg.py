# A frozen encoder of timm under the CBT decoder. Experiments choose the encoder, with the pixel
# statistics that it was trained with, and the decoder's size, which is the paper's for ViTs of the
# same width. The weights come from the Hugging Face Hub, or from a file: pretrained='FILE'.
model = dict(
    type='SlidingEncoderDecoder',  # enlarges images to the window
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size=(512, 512),
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255),
    backbone=dict(
        type='TimmEncoder',
        model_name='vit_base_patch16_dinov3.lvd1689m',
        img_size=(512, 512),
        frozen=True),
    decode_head=dict(
        type='CBTMaskTransformerHead',
        in_channels=768,
        num_layers=6,
        num_classes=150,
        loss_decode=dict(type='WeightedCrossEntropyLoss', avg_non_ignore=True)),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(480, 480)))
