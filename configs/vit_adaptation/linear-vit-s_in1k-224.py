# vit-s_in1k-224.py with linear attention, as the released code has it, commented out.
# Published: 78.6 top-1, read off a plot (figure 9, arXiv 2509.16875v3); not trained here.
# bash tools/dist_train.sh configs/vit_adaptation/linear-vit-s_in1k-224.py 8 --amp
_base_ = './vit-s_in1k-224.py'
model = dict(backbone=dict(attn_cfg=dict(type='LinearAttention')))
