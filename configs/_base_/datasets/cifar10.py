# CIFAR-10 for fine-tuning at 224 px.
# Expected: data/cifar10/cifar-10-batches-py; mmpretrain downloads it into an empty data/cifar10.
_base_ = './finetune.py'
to_pil = dict(type='NumpyToPIL')  # of arrays in RGB
train_dataloader = dict(dataset=dict(
    type='CIFAR10', data_root='data/cifar10', split='train',
    pipeline=[to_pil, *_base_.train_transforms]))
val_dataloader = dict(dataset=dict(
    type='CIFAR10', data_root='data/cifar10', split='test', test_mode=True,
    pipeline=[to_pil, *_base_.test_transforms]))
test_dataloader = val_dataloader
