# CRATE-B, with CRATE's linear embedding of patches. Published: 70.8 top-1 at 224 px
# (arXiv 2509.16875v3, table 3); not trained here. That table does not tell how it was trained: here
# as cbt-b_in1k.py.
# Cost: 22.8 M parameters, 12.6 GFLOPs as published (2 per multiply-add).
# bash tools/dist_train.sh configs/crate/crate-b_in1k.py 8 --amp
_base_ = '../cbt/cbt-b_in1k.py'
model = dict(backbone=dict(stem='linear', attn_cfg=dict(type='MSSA')))
