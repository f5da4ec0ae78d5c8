# CBT-T, fine-tuned on CIFAR-100. Published: 76.5 top-1
# (arXiv 2509.16875v3); not trained here.
# python tools/train.py configs/finetune/cbt-t_cifar100.py --amp
_base_ = [
    '../_base_/models/cbt-t-pretrained-cls.py', '../_base_/datasets/cifar100.py',
    '../_base_/schedules/finetune.py', '../_base_/runtime/mmpretrain.py'
]
model = dict(head=dict(num_classes=100))
data_preprocessor = dict(num_classes=100)
