# DINOv3 ViT-B/16, frozen, and the CBT decoder on ADE20K.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov3-b_frozen_ade20k.py 8
_base_ = './dinov3-s_frozen_ade20k.py'
model = dict(
    backbone=dict(model_name='vit_base_patch16_dinov3.lvd1689m'),
    decode_head=dict(in_channels=768, num_layers=6))
