# CBT-dagger in the setting of cbt-t_ade20k.py: the decoder maps back to its width by the
# transposed projection. No published figure is known here.
# bash tools/dist_train.sh configs/cbt/cbt-dagger-t_ade20k.py 8
_base_ = './cbt-t_ade20k.py'
model = dict(decode_head=dict(attn_cfg=dict(type='CBSA', grid_size=10, output='tied')))
