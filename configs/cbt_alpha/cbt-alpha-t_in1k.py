# CBT-alpha-T, as cbt-alpha-s_in1k.py. No score is known: not trained here.
# bash tools/dist_train.sh configs/cbt_alpha/cbt-alpha-t_in1k.py 8 --amp bfloat16
_base_ = './cbt-alpha-s_in1k.py'
model = dict(backbone=dict(arch='tiny'), head=dict(in_channels=192))
