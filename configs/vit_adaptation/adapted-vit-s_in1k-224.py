# vit-s_in1k-224.py, adapted to CBSA without contraction, which is Agent attention: what the
# released code runs.
# Published: 79.9 top-1, read off a plot (CBSA^v, figure 9, arXiv 2509.16875v3); not trained here.
# bash tools/dist_train.sh configs/vit_adaptation/adapted-vit-s_in1k-224.py 8 --amp
_base_ = './vit-s_in1k-224.py'
model = dict(backbone=dict(type='AdaptedViT'))
