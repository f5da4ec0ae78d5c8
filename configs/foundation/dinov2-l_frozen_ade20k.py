# DINOv2 ViT-L/14 with registers, frozen, and the CBT decoder on ADE20K, at 518 pixels:
# whole patches.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov2-l_frozen_ade20k.py 8
_base_ = './dinov2-s_frozen_ade20k.py'
model = dict(
    backbone=dict(model_name='vit_large_patch14_reg4_dinov2.lvd142m'),
    decode_head=dict(in_channels=1024, num_layers=9))
