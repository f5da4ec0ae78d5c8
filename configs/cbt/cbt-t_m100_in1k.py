# CBT-T with 100 representatives instead of 64. No published figure is known here.
# bash tools/dist_train.sh configs/cbt/cbt-t_m100_in1k.py 8 --amp
_base_ = './cbt-t_in1k.py'
model = dict(backbone=dict(attn_cfg=dict(type='CBSA', grid_size=10)))
