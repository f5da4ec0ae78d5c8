# vit-b_in1k-384.py, adapted to CBSA with contraction and the three pretrained projections.
# Published: 80.8 top-1, read off a plot (CBSA*, figure 9, arXiv 2509.16875v3); not trained here.
# bash tools/dist_train.sh configs/vit_adaptation/adapted-vit-b_contraction_in1k-384.py 8 --amp
_base_ = './vit-b_in1k-384.py'
model = dict(backbone=dict(type='AdaptedViT', contraction=True))
