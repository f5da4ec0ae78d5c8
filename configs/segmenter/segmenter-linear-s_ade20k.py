# Segmenter's linear decoder in the setting of cbt-s_ade20k.py.
# No published figure is known here.
# bash tools/dist_train.sh configs/segmenter/segmenter-linear-s_ade20k.py 8
_base_ = ['../cbt/cbt-s_ade20k.py', '../_base_/models/segmenter-heads.py']
model = dict(
    decode_head=dict(_base_.linear_head, _delete_=True, in_channels=384, channels=384))
