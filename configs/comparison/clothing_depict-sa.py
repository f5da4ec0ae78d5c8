# DEPICT-SA's decoder in the setting of clothing_cbt.py.
# No score of ours is known.
# python tools/train.py configs/comparison/clothing_depict-sa.py
_base_ = './clothing_cbt.py'
model = dict(decode_head=dict(type='DEPICTSAHead'))
