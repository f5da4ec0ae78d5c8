# The encoder of cbt-t_camvid.py under mmseg's Segmenter head (with its default drop path), all else
# the same: a comparison.
# python tools/train.py configs/cbt/cbt-t_camvid_segmenter-head.py
_base_ = './cbt-t_camvid.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='SegmenterMaskTransformerHead',
        in_channels=192,
        channels=192,
        num_classes=11,
        num_layers=2,
        num_heads=3,
        embed_dims=192,
        dropout_ratio=0,
        loss_decode=dict(type='WeightedCrossEntropyLoss', avg_non_ignore=True)))
