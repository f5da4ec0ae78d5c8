# CRATE+CBT-S, in the setting of cbt-s_in1k.py: MSSA in the first half of the layers, CBSA in the
# second. Published: zero-shot segmentation of VOC 2012 val by the class token's attention, an IoU
# of 0.68 with the foreground, 0.78 with the background, 0.18 with the boundary
# (arXiv 2509.16875v3); not trained here. No published top-1 is known here.
# bash tools/dist_train.sh configs/cbt/crate-cbt-s_in1k.py 8 --amp
_base_ = './cbt-s_in1k.py'
model = dict(backbone=dict(attn_cfg=[dict(type='MSSA')] * 6 + [dict(type='CBSA')] * 6))
