# ViT-S/16 with ToST's attention, TSSA, in the decoder of cbt-s_ade20k.py. Published: curves of
# its mIoU under noise (arXiv 2509.16875v3, figure 8), but no figure is known here.
# bash tools/dist_train.sh configs/tost/tost-s_ade20k.py 8
_base_ = '../cbt/cbt-s_ade20k.py'
model = dict(decode_head=dict(attn_cfg=dict(type='TSSA')))
