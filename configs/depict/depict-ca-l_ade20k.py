# DEPICT-CA's decoder (cross-attention) in the setting of cbt-l_ade20k.py.
# No published figure is known here.
# bash tools/dist_train.sh configs/depict/depict-ca-l_ade20k.py 8
_base_ = '../cbt/cbt-l_ade20k.py'
model = dict(decode_head=dict(type='DEPICTCAHead', num_cross_layers=3, cross_head_dims=50))
