# Fine-tuning at 224 px with total batch 64, as in the released finetune.py: torchvision's own
# transforms, of PIL images in RGB. Tests see the whole image, resized without a crop. Each data set
# says how its images become PIL images, and where they are.
train_transforms = [
    dict(type='torchvision/RandomResizedCrop', size=(224, 224)),
    dict(type='torchvision/RandomHorizontalFlip'),
    dict(type='torchvision/RandAugment', num_ops=2, magnitude=14),
    dict(type='PILToNumpy', to_bgr=True),
    dict(type='PackInputs'),
]
test_transforms = [
    dict(type='torchvision/Resize', size=(224, 224)),
    dict(type='PILToNumpy', to_bgr=True),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='SeededBatchSampler'))
val_dataloader = dict(
    batch_size=100,
    num_workers=8,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_evaluator = val_evaluator
