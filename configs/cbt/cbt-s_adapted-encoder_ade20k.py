# cbt-s_ade20k.py with CBSA in the encoder, too, by its three pretrained projections and without
# contraction, as the released code adapts ViTs. No published figure is known here.
# The encoder starts from the plain ViT's weights. One that was adapted on ImageNet-1k goes on with
# --cfg-options model.backbone.init_cfg.checkpoint=FILE model.backbone.init_cfg.prefix=backbone.
# bash tools/dist_train.sh configs/cbt/cbt-s_adapted-encoder_ade20k.py 8
_base_ = './cbt-s_ade20k.py'
model = dict(backbone=dict(type='AdaptedViT'))
