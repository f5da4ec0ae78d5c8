# Oxford Flowers-102 for fine-tuning: ImageNet's pipelines, total batch 64. That CBSA was trained on
# trainval (2,040 images) is an assumption; CRATE's code took train alone, half of them.
# Expected: data/Flowers102/{jpg,imagelabels.mat,setid.mat}.
_base_ = './imagenet.py'
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        _delete_=True,
        type='Flowers102',
        data_root='data/Flowers102',
        split='trainval',
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='Flowers102',
        data_root='data/Flowers102',
        split='test',
        pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
