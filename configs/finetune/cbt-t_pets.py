# CBT-T, fine-tuned on Oxford-IIIT Pets. Published: 86.8 top-1
# (arXiv 2509.16875v3); not trained here.
# checkpoints/cbt-t_in1k.pth is what cbt-t_in1k.py trains, or a released CBT-T, converted by
# tools/convert_checkpoint.py.
# python tools/train.py configs/finetune/cbt-t_pets.py
_base_ = [
    '../_base_/models/cbt-cls.py', '../_base_/datasets/pets.py',
    '../_base_/schedules/finetune.py', '../_base_/runtime/mmpretrain.py'
]
model = dict(
    backbone=dict(
        arch='tiny',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/cbt-t_in1k.pth', prefix='backbone.')),
    head=dict(num_classes=37, in_channels=192))
data_preprocessor = dict(num_classes=37)
