# Oxford-IIIT Pets with 37 breeds for fine-tuning: ImageNet's pipelines, total batch 64.
# Expected: data/Oxford-IIIT_Pets/{images,annotations/{trainval,test}.txt}.
_base_ = './flowers102.py'
train_dataloader = dict(dataset=dict(type='OxfordIIITPet', data_root='data/Oxford-IIIT_Pets'))
val_dataloader = dict(dataset=dict(type='OxfordIIITPet', data_root='data/Oxford-IIIT_Pets'))
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1, ))
test_evaluator = val_evaluator
