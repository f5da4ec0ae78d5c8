# 64 epochs of ADE20K: 20,210 images, total batch 8, 2,527 iterations an epoch. Validation every
# 2 epochs, and the last checkpoint is the result, as released. Otherwise than there, validation
# takes the final test's stride (crop - 32, the crop itself there), as mmseg has but one.
max_iters = 64 * 2527
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, nesterov=True, weight_decay=0.))
# lr(t) = (1e-3 - 1e-5) (1 - t / T)^0.9 + 1e-5; PolyLR counts T as end - begin - 1.
param_scheduler = dict(
    type='PolyLR', power=0.9, eta_min=1e-5, begin=0, end=max_iters + 1, by_epoch=False)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2 * 2527)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=8)
