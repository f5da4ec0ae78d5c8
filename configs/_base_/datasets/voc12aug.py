# PASCAL VOC 2012 with 20 classes and background, 512 x 512 crops; trained on its 1,464 images and
# 9,118 of SBD.
# Expected: data/VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,SegmentationClassAug} and
# ImageSets/Segmentation/{train,aug,val}.txt there; SegmentationClassAug and aug.txt are made by
# mmseg's converter.
_base_ = './ade20k.py'
load, check = dict(type='LoadAnnotations'), dict(type='CheckSegLabels', num_classes=21)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1:3] = test_pipeline[2:4] = load, check
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[2:4] = [load], [check]
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
