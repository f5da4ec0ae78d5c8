# Oxford-IIIT Pets with 37 breeds for fine-tuning at 224 px: trainval, tested on test.
# Expected: data/Oxford-IIIT_Pets/{images,annotations/{trainval,test}.txt}.
_base_ = './flowers102.py'
train_dataloader = dict(dataset=dict(
    type='OxfordIIITPet', data_root='data/Oxford-IIIT_Pets', split='trainval'))
val_dataloader = dict(dataset=dict(type='OxfordIIITPet', data_root='data/Oxford-IIIT_Pets'))
test_dataloader = val_dataloader
