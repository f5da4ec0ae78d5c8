# vit-l_in1k-384.py with linear attention, as the released code has it, commented out.
# Published: 82.2 top-1, read off a plot (figure 9, arXiv 2509.16875v3); not trained here.
# bash tools/dist_train.sh configs/vit_adaptation/linear-vit-l_in1k-384.py 8 --amp
_base_ = './vit-l_in1k-384.py'
model = dict(backbone=dict(attn_cfg=dict(type='LinearAttention')))
