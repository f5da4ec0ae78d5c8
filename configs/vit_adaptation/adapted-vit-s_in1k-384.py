# ViT-S/16, pretrained on ImageNet-21k, adapted to CBSA on ImageNet-1k at 384 px.
# No published figure is known here.
# configs/_base_/models/adapted-vit-s-cls.py tells how to make the file of weights.
# bash tools/dist_train.sh configs/vit_adaptation/adapted-vit-s_in1k-384.py 8
_base_ = [
    '../_base_/models/adapted-vit-s-cls.py', '../_base_/datasets/imagenet-384.py',
    '../_base_/schedules/adapt.py', '../_base_/runtime/mmpretrain.py'
]
model = dict(backbone=dict(img_size=384))
train_dataloader = dict(batch_size=64)
