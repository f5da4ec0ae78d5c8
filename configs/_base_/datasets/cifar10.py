# CIFAR-10 for fine-tuning at 224 px, total batch 64. How the 32 x 32 images are enlarged is our
# choice, as in CRATE's code: training crops as for ImageNet, testing takes the whole image.
# Expected: data/cifar10/cifar-10-batches-py; mmpretrain downloads it into an empty data/cifar10.
_base_ = './imagenet.py'
# Images come as RGB arrays; as BGR, like those read from files, they suit one data_preprocessor.
load = [dict(type='NumpyToPIL'), dict(type='PILToNumpy', to_bgr=True)]
train_pipeline = load + _base_.train_pipeline[1:]
resize = dict(_base_.resize, scale=224)
test_pipeline = [*load, resize, dict(type='PackInputs')]
tta_pipeline = [*load, resize, _base_.tta_pipeline[-1]]
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        _delete_=True,
        type='CIFAR10',
        data_root='data/cifar10',
        split='train',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CIFAR10',
        data_root='data/cifar10',
        split='test',
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1, ))
test_evaluator = val_evaluator
