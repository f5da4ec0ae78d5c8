# DEPICT-SA's decoder (self-attention) in the setting of cbt-s_ade20k.py.
# No published figure is known here.
# bash tools/dist_train.sh configs/depict/depict-sa-s_ade20k.py 8
_base_ = '../cbt/cbt-s_ade20k.py'
model = dict(decode_head=dict(type='DEPICTSAHead'))
