# PASCAL VOC 2012 with 20 classes and background, 512 x 512 crops; trained on its 1,464 images and
# 9,118 of SBD.
# Expected: data/VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,SegmentationClassAug} and
# ImageSets/Segmentation/{train,aug,val}.txt there; SegmentationClassAug and aug.txt are made by
# mmseg's converter.
_base_ = './ade20k.py'
crop_size = (512, 512)
scale = (2048, 512)
tta_ratios = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='FastRandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FastPhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale=(int(r * 2048), int(r * 512)), keep_ratio=True)
         for r in tta_ratios],
        [dict(type='RandomFlip', prob=0., direction='horizontal'),
         dict(type='RandomFlip', prob=1., direction='horizontal')],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')],
    ])
]
voc = dict(
    type='PascalVOCDataset',
    data_root='data/VOCdevkit/VOC2012',
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    ann_file='ImageSets/Segmentation/train.txt',
    pipeline=train_pipeline)
sbd = dict(
    voc,
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
    ann_file='ImageSets/Segmentation/aug.txt')
train_dataloader = dict(
    batch_size=2, dataset=dict(_delete_=True, type='ConcatDataset', datasets=[voc, sbd]))
val_dataloader = dict(
    dataset=dict(voc, ann_file='ImageSets/Segmentation/val.txt', pipeline=test_pipeline))
test_dataloader = val_dataloader
# What a segmenter takes from these data: experiments say model = _base_.model_for_data.
model_for_data = dict(decode_head=dict(num_classes=21))
