# CBT-T with 64 representatives that are learned and the same for all images, an ablation of the
# pooled ones. No published figure is known here.
# bash tools/dist_train.sh configs/cbt/cbt-t_learnable_in1k.py 8 --amp
_base_ = './cbt-t_in1k.py'
model = dict(backbone=dict(attn_cfg=dict(type='CBSA', representatives='learnable')))
