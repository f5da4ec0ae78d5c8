# CBT-B, fine-tuned on CIFAR-100. Published: 82.0 top-1
# (arXiv 2509.16875v3); not trained here.
# python tools/train.py configs/finetune/cbt-b_cifar100.py --amp
_base_ = './cbt-t_cifar100.py'
model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint='checkpoints/cbt-b_in1k.pth')),
    head=dict(in_channels=768))
