# dinov2-s_frozen_ade20k.py with CBSA in the encoder, too, by its pretrained projections, as the
# released code adapts ViTs; tuned as in dinov2-b_tuned_ade20k.py.
# No score of ours is known.
# bash tools/dist_train.sh configs/foundation/dinov2-s_adapted_ade20k.py 8
_base_ = './dinov2-s_frozen_ade20k.py'
model = dict(backbone=dict(frozen=False, adapt_cfg=dict(grid_size=8)))
optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(layer_decay_rate=0.8))
