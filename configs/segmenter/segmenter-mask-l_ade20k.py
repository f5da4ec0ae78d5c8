# Segmenter's mask transformer in the setting of cbt-l_ade20k.py.
# No published figure is known here.
# bash tools/dist_train.sh configs/segmenter/segmenter-mask-l_ade20k.py 8
_base_ = ['../cbt/cbt-l_ade20k.py', '../_base_/models/segmenter-heads.py']
model = dict(
    decode_head=dict(
        _base_.mask_head, _delete_=True, in_channels=1024, channels=1024, embed_dims=1024,
        num_heads=16))
