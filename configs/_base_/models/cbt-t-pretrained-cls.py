# CBT-T with its ImageNet weights; experiments choose the classes, or another size.
# checkpoints/cbt-t_in1k.pth is what cbt/cbt-t_in1k.py trains, or a released CBT-T, converted by
# tools/convert_checkpoint.py.
_base_ = './cbt-cls.py'
model = dict(
    backbone=dict(
        arch='tiny',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/cbt-t_in1k.pth', prefix='backbone.')),
    head=dict(in_channels=192))
