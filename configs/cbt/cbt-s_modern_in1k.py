# CBT-S with DeiT's recipe instead of the paper's, as cbt_alpha/cbt-alpha-s_in1k.py, to tell what
# comes of the recipe and what of the model. No score is known: not trained here.
# bash tools/dist_train.sh configs/cbt/cbt-s_modern_in1k.py 8 --amp bfloat16
_base_ = '../cbt_alpha/cbt-alpha-s_in1k.py'
model = dict(backbone=dict(
    _delete_=True, type='CBT', arch='small', img_size=224, patch_size=16, drop_path_rate=0.1))
