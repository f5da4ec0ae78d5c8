# Oxford Flowers-102 for fine-tuning at 224 px: the 1,020 images of train alone, tested on test.
# Expected: data/Flowers102/{jpg,imagelabels.mat,setid.mat}.
_base_ = './finetune.py'
load = [
    dict(
        type='LoadImageFromFile',
        color_type='color_ignore_orientation',  # EXIF is ignored, as PIL.Image.open does
        imdecode_backend='pillow'),
    dict(type='NumpyToPIL', to_rgb=True),
]
train_dataloader = dict(dataset=dict(
    type='Flowers102', data_root='data/Flowers102', split='train',
    pipeline=[*load, *_base_.train_transforms]))
val_dataloader = dict(dataset=dict(
    type='Flowers102', data_root='data/Flowers102', split='test',
    pipeline=[*load, *_base_.test_transforms]))
test_dataloader = val_dataloader
