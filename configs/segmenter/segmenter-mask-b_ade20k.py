# Segmenter's mask transformer in the setting of cbt-b_ade20k.py.
# No published figure is known here.
# bash tools/dist_train.sh configs/segmenter/segmenter-mask-b_ade20k.py 8
_base_ = ['../cbt/cbt-b_ade20k.py', '../_base_/models/segmenter-heads.py']
model = dict(
    decode_head=dict(
        _base_.mask_head, _delete_=True, in_channels=768, channels=768, embed_dims=768,
        num_heads=12))
