# Water and land in your own photographs, with CBT's encoder and decoder from a shipped config.
# Expected, as there: data/{images,annotations}/{train,val}, annotations of 0, 1 and 255 (ignored).
# python -m cbsa_mm train water.py
_base_ = ['cbsa_mm::cbt/cbt-t_camvid.py']
model = dict(decode_head=dict(num_classes=2))
data = dict(
    type='BaseSegDataset', data_root='data',
    metainfo=dict(classes=('land', 'water'), palette=[[90, 140, 60], [40, 90, 200]]))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
