# CBT-S, fine-tuned on CIFAR-100. Published: 80.4 top-1
# (arXiv 2509.16875v3); not trained here.
# python tools/train.py configs/finetune/cbt-s_cifar100.py --amp
_base_ = './cbt-t_cifar100.py'
model = dict(
    backbone=dict(arch='small', init_cfg=dict(checkpoint='checkpoints/cbt-s_in1k.pth')),
    head=dict(in_channels=384))
