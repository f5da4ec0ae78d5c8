# ToST, with CBT's stem, in the setting of cifar10_cbt.py.
# python tools/train.py configs/comparison/cifar10_tost.py
_base_ = './cifar10_cbt.py'
model = dict(backbone=dict(attn_cfg=dict(_delete_=True, type='TSSA')))
