# ViT, with CBT's stem, in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_vit.py
_base_ = './cifar10_cbt.py'
model = dict(
    backbone=dict(
        arch=dict(embed_dims=36, num_heads=2),
        attn_cfg=dict(_delete_=True, type='MHSA'),
        ffn_cfg=dict(type='MLP')),
    head=dict(in_channels=36))
