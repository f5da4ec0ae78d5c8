# A CBT of 4 layers instead of the trained encoder, from random weights, in the setting of
# clothing_cbt.py.
# No score of ours is known.
# python tools/train.py configs/comparison/clothing_cbt-scratch.py
_base_ = './clothing_cbt.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='CBT',
        arch=dict(embed_dims=192, num_layers=4, num_heads=3),
        img_size=_base_.size,
        grid_offset=1,
        out_type='featmap'),
    decode_head=dict(in_channels=192, num_layers=2))
