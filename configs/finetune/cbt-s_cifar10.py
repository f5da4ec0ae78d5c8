# CBT-S, fine-tuned on CIFAR-10. Published: 96.3 top-1
# (arXiv 2509.16875v3); not trained here.
# python tools/train.py configs/finetune/cbt-s_cifar10.py --amp
_base_ = './cbt-t_cifar10.py'
model = dict(
    backbone=dict(arch='small', init_cfg=dict(checkpoint='checkpoints/cbt-s_in1k.pth')),
    head=dict(in_channels=384))
