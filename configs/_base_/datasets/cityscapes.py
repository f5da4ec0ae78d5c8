# Cityscapes with 19 classes, 768 x 768 crops.
# Expected: data/cityscapes/{leftImg8bit,gtFine}/{train,val}/<city>; *_labelTrainIds.png in gtFine
# are made by mmseg's converter.
_base_ = './ade20k.py'
crop_size = (768, 768)
scale = (2048, 1024)
load, check = dict(type='LoadAnnotations'), dict(type='CheckSegLabels', num_classes=19)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1:3] = test_pipeline[2:4] = load, check
train_pipeline[3].scale = test_pipeline[1].scale = scale
train_pipeline[4].crop_size = crop_size
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[2:4] = [load], [check]
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(int(r * 2048), int(r * 1024)), keep_ratio=True)
    for r in _base_.tta_ratios
]
train_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root='data/cityscapes',
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root='data/cityscapes',
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
# What a segmenter takes from these data: experiments say model = _base_.model_for_data.
model_for_data = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size),
    decode_head=dict(num_classes=19),
    test_cfg=dict(crop_size=crop_size, stride=(736, 736)))
