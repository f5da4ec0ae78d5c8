# ViT-B/16, trained on ImageNet-21k, then 1k, fine-tuned once more on 1k at 224 px with its
# softmax attention: what the adapted ones are compared with. The weights are timm's default.
# Published: 84.7 top-1, read off a plot (MHSA, figure 9, arXiv 2509.16875v3); not trained here.
# bash tools/dist_train.sh configs/vit_adaptation/vit-b_in1k-224.py 8 --amp
_base_ = [
    '../_base_/models/vit-cls.py', '../_base_/datasets/imagenet.py',
    '../_base_/schedules/adapt.py', '../_base_/runtime/mmpretrain.py'
]
pretrained = dict(checkpoint='timm://vit_base_patch16_224.augreg2_in21k_ft_in1k')
model = dict(
    backbone=dict(arch='base', init_cfg=pretrained),
    head=dict(in_channels=768, init_cfg=dict(override=pretrained)))
train_dataloader = dict(batch_size=64)
