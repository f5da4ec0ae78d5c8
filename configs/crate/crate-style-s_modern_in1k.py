# CRATE's attention, MSSA, in the setting of cbt/cbt-s_modern_in1k.py. No score is known: not
# trained here.
# bash tools/dist_train.sh configs/crate/crate-style-s_modern_in1k.py 8 --amp bfloat16
_base_ = '../cbt/cbt-s_modern_in1k.py'
model = dict(backbone=dict(attn_cfg=dict(type='MSSA')))
