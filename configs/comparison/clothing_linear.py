# A linear probe in the setting of clothing_cbt.py.
# No score of ours is known.
# python tools/train.py configs/comparison/clothing_linear.py
_base_ = ['./clothing_cbt.py', '../_base_/models/segmenter-heads.py']
model = dict(
    decode_head=dict(
        _base_.linear_head, _delete_=True, in_channels=384, channels=384, num_classes=10))
