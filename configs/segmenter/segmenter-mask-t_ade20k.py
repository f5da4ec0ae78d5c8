# Segmenter's mask transformer in the setting of cbt-t_ade20k.py.
# No published figure is known here.
# bash tools/dist_train.sh configs/segmenter/segmenter-mask-t_ade20k.py 8
_base_ = ['../cbt/cbt-t_ade20k.py', '../_base_/models/segmenter-heads.py']
model = dict(
    decode_head=dict(
        _base_.mask_head, _delete_=True, in_channels=192, channels=192, embed_dims=192,
        num_heads=3))
