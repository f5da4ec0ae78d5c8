# CRATE-L, with CRATE's linear embedding of patches. Published: 71.3 top-1 at 224 px
# (arXiv 2509.16875v3, table 3); not trained here. That table does not tell how it was trained: here
# as cbt-l_in1k.py.
# Cost: 77.6 M parameters, 43.3 GFLOPs as published (2 per multiply-add).
# bash tools/dist_train.sh configs/crate/crate-l_in1k.py 8 --amp
_base_ = '../cbt/cbt-l_in1k.py'
model = dict(backbone=dict(stem='linear', attn_cfg=dict(type='MSSA')))
