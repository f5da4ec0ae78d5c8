# A linear probe in the setting of dinov3-b_frozen_ade20k.py: one linear layer on frozen features.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov3-b_linear_ade20k.py 8
_base_ = ['./dinov3-b_frozen_ade20k.py', '../_base_/models/segmenter-heads.py']
model = dict(
    decode_head=dict(_base_.linear_head, _delete_=True, in_channels=768, channels=768))
