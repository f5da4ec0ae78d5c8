# CIFAR-100 for fine-tuning at 224 px, prepared as CIFAR-10.
# Expected: data/cifar100/cifar-100-python; mmpretrain downloads it into an empty data/cifar100.
_base_ = './cifar10.py'
train_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100'))
val_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100'))
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1, 5))
test_evaluator = val_evaluator
