# PASCAL-Context with 59 classes and background, 480 x 480 crops.
# Expected: data/VOCdevkit/VOC2010/{JPEGImages,SegmentationClassContext} and
# ImageSets/SegmentationContext/{train,val}.txt there, made by mmseg's converter.
_base_ = './ade20k.py'
crop_size = (480, 480)
scale = (4160, 520)
load, check = dict(type='LoadAnnotations'), dict(type='CheckSegLabels', num_classes=60)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1:3] = test_pipeline[2:4] = load, check
train_pipeline[3].scale = test_pipeline[1].scale = scale
train_pipeline[4].crop_size = crop_size
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[2:4] = [load], [check]
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(int(r * 4160), int(r * 520)), keep_ratio=True)
    for r in _base_.tta_ratios
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        type='PascalContextDataset',
        data_root='data/VOCdevkit/VOC2010',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext'),
        ann_file='ImageSets/SegmentationContext/train.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        train_dataloader['dataset'],
        ann_file='ImageSets/SegmentationContext/val.txt',
        pipeline=test_pipeline))
test_dataloader = val_dataloader
# What a segmenter takes from these data: experiments say model = _base_.model_for_data.
model_for_data = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size),
    decode_head=dict(num_classes=60),
    test_cfg=dict(crop_size=crop_size, stride=(448, 448)))
