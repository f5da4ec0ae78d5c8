# CBT-L, fine-tuned on Oxford-IIIT Pets. Published: 92.9 top-1
# (arXiv 2509.16875v3); not trained here.
# python tools/train.py configs/finetune/cbt-l_pets.py --amp
_base_ = './cbt-t_pets.py'
model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint='checkpoints/cbt-l_in1k.pth')),
    head=dict(in_channels=1024))
