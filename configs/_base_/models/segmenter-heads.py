# Segmenter's decoders (arXiv 2105.05633) in mmseg's words, for 150 classes; experiments choose the
# width, which is the encoder's, and the attention heads.
linear_head = dict(
    type='FCNHead',
    num_convs=0,
    kernel_size=1,
    concat_input=False,
    num_classes=150,
    dropout_ratio=0,
    loss_decode=dict(type='WeightedCrossEntropyLoss', avg_non_ignore=True))
mask_head = dict(
    type='SegmenterMaskTransformerHead',
    num_layers=2,
    drop_path_rate=0.,  # as in Segmenter's code, like the two below; mmseg's default is 0.1, 0, 0
    drop_rate=0.1,
    attn_drop_rate=0.1,
    num_classes=150,
    dropout_ratio=0,
    loss_decode=dict(type='WeightedCrossEntropyLoss', avg_non_ignore=True))
