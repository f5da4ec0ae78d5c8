# Fine-tuning with AdamW, total batch 64, as published. The length and the course are our choice,
# as we know of none published: 50 epochs, 5 of them warm-up, a cosine (CRATE: 200 to 400 epochs).
# So is the loss, ImageNet's with its smoothed labels.
_base_ = './adapt.py'
# Set once per epoch e: 5e-5 min((e + 1) / 5, (1 + cos(pi e / 50)) / 2).
param_scheduler = dict(warmup=5)
loss_scale = 'dynamic'
auto_scale_lr = dict(base_batch_size=64)
