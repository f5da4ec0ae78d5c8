# CIFAR-100 for fine-tuning at 224 px.
# Expected: data/cifar100/cifar-100-python; mmpretrain downloads it into an empty data/cifar100.
_base_ = './cifar10.py'
train_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100'))
val_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100'))
test_dataloader = val_dataloader
