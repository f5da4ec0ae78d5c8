# CBT-T with its ImageNet weights, and plain cross-entropy; experiments choose the classes, or
# another size. checkpoints/cbt-t_in1k.pth is what cbt/cbt-t_in1k.py trains, or a released CBT-T,
# converted by convert_checkpoint. The last LayerNorm keeps its pretrained values; the
# released finetune.py lets it start anew with the linear layer, for which mmengine's Pretrained has
# no way.
_base_ = './cbt-cls.py'
model = dict(
    backbone=dict(
        arch='tiny',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/cbt-t_in1k.pth', prefix='backbone.')),
    head=dict(in_channels=192, loss=dict(_delete_=True, type='CrossEntropyLoss')))
