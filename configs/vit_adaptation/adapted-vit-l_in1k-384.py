# vit-l_in1k-384.py, adapted to CBSA without contraction, which is Agent attention: what the
# released code runs.
# Published: 85.0 top-1, read off a plot (CBSA^v, figure 9, arXiv 2509.16875v3); not trained here.
# bash tools/dist_train.sh configs/vit_adaptation/adapted-vit-l_in1k-384.py 8 --amp
_base_ = './vit-l_in1k-384.py'
model = dict(backbone=dict(type='AdaptedViT'))
