# The encoder of cbt-t_camvid.py under DEPICT-SA's decoder, all else the same: a comparison.
# python tools/train.py configs/cbt/cbt-t_camvid_depict-sa-head.py
_base_ = './cbt-t_camvid.py'
model = dict(decode_head=dict(type='DEPICTSAHead'))
