# CBT-T, fine-tuned on Oxford Flowers-102. Published: 88.4 top-1
# (arXiv 2509.16875v3); not trained here.
# python tools/train.py configs/finetune/cbt-t_flowers102.py --amp
_base_ = [
    '../_base_/models/cbt-t-pretrained-cls.py', '../_base_/datasets/flowers102.py',
    '../_base_/schedules/finetune.py', '../_base_/runtime/mmpretrain.py'
]
model = dict(head=dict(num_classes=102))
data_preprocessor = dict(num_classes=102)
