# ToST's attention, TSSA, in the setting of cbt-s_in1k.py. Published: 68.5 top-1 at 224 px
# (arXiv 2509.16875v3); not trained here.
# bash tools/dist_train.sh configs/tost/tost-style-s_in1k.py 8 --amp
_base_ = '../cbt/cbt-s_in1k.py'
model = dict(backbone=dict(attn_cfg=dict(type='TSSA')))
