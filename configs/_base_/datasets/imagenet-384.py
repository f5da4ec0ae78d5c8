# ImageNet-1k as in imagenet.py, at 384 px.
_base_ = './imagenet.py'
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
tta_pipeline = _base_.tta_pipeline
train_pipeline[1].scale = 384
test_pipeline[1].scale = tta_pipeline[1].scale = 438  # 384 * 256 / 224
test_pipeline[2].crop_size = tta_pipeline[2].crop_size = 384
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
