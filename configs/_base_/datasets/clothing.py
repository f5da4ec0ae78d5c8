# Clothing Co-Parsing (Yang et al., CVPR 2014; Apache-2.0) with its labels merged to 10 classes: 803
# photographs of people to train on, 201 to validate on, all at 252 x 378: whole patches of 14
# pixels. They are not augmented, so that a frozen encoder may keep its features (cache_cfg).
# Expected: data/clothing/{images,annotations}/{train,val}.
_base_ = './ade20k.py'
scale = (252, 378)
classes = ('background', 'skin', 'hair', 'top', 'outerwear', 'dress', 'bottom', 'legwear',
           'footwear', 'accessory')
palette = [[0, 0, 0], [255, 204, 170], [120, 70, 30], [220, 50, 50], [50, 90, 220], [230, 60, 200],
           [50, 170, 80], [150, 150, 150], [240, 150, 30], [250, 230, 60]]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=scale),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale=scale)],
        [dict(type='RandomFlip', prob=0., direction='horizontal'),
         dict(type='RandomFlip', prob=1., direction='horizontal')],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')],
    ])
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(
        type='BaseSegDataset',
        data_root='data/clothing',
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        metainfo=dict(classes=classes, palette=palette),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    dataset=dict(
        type='BaseSegDataset',
        data_root='data/clothing',
        data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'),
        metainfo=dict(classes=classes, palette=palette),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
