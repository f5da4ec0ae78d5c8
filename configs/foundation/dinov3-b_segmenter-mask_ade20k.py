# Segmenter's mask transformer in the setting of dinov3-b_frozen_ade20k.py.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov3-b_segmenter-mask_ade20k.py 8
_base_ = ['./dinov3-b_frozen_ade20k.py', '../_base_/models/segmenter-heads.py']
model = dict(
    decode_head=dict(
        _base_.mask_head, _delete_=True, in_channels=768, channels=768, embed_dims=768,
        num_heads=12))
