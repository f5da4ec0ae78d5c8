# ViT-B/16, pretrained on ImageNet-21k, adapted to CBSA on ImageNet-1k at 224 px.
# No published figure is known here.
# configs/_base_/models/adapted-vit-b-cls.py tells how to make the file of weights.
# bash tools/dist_train.sh configs/vit_adaptation/adapted-vit-b_in1k-224.py 8
_base_ = [
    '../_base_/models/adapted-vit-b-cls.py', '../_base_/datasets/imagenet.py',
    '../_base_/schedules/adapt.py', '../_base_/runtime/mmpretrain.py'
]
train_dataloader = dict(batch_size=64)
