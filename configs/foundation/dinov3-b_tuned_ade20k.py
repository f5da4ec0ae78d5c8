# DINOv3 ViT-B/16, tuned together with the CBT decoder on
# ADE20K: learning rates fall towards the first layers, by EoMT's factor.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov3-b_tuned_ade20k.py 8
_base_ = './dinov3-b_frozen_ade20k.py'
model = dict(backbone=dict(frozen=False))
optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(layer_decay_rate=0.8))
