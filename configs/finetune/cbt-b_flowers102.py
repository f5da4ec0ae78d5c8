# CBT-B, fine-tuned on Oxford Flowers-102. Published: 93.6 top-1
# (arXiv 2509.16875v3); not trained here.
# python tools/train.py configs/finetune/cbt-b_flowers102.py --amp
_base_ = './cbt-t_flowers102.py'
model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint='checkpoints/cbt-b_in1k.pth')),
    head=dict(in_channels=768))
