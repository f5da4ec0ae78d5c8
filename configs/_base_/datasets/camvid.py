# CamVid at 480 x 360, 11 classes, seen at 320 x 240 and a little closer.
# Expected: data/camvid/{images,annotations}/{train,val}.
_base_ = './ade20k.py'
crop_size = (240, 320)
scale = (320, 240)
load, check = dict(type='LoadAnnotations'), dict(type='CheckSegLabels', num_classes=11)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1:3] = test_pipeline[2:4] = load, check
train_pipeline[3].update(scale=scale, ratio_range=(1.0, 1.5))
train_pipeline[4].crop_size = crop_size
test_pipeline[1].scale = scale
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [test_pipeline[1]]
tta_pipeline[1].transforms[2:4] = [load], [check]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='CamVidDataset',
        data_root='data/camvid',
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        type='CamVidDataset',
        data_root='data/camvid',
        data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
