# CBT-alpha-B, as cbt-alpha-s_in1k.py. No score is known: not trained here.
# bash tools/dist_train.sh configs/cbt_alpha/cbt-alpha-b_in1k.py 8 --amp bfloat16
_base_ = './cbt-alpha-s_in1k.py'
model = dict(backbone=dict(arch='base'), head=dict(in_channels=768))
