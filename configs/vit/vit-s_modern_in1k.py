# ViT-S/16 with DeiT's recipe, as cbt_alpha/cbt-alpha-s_in1k.py: softmax attention and MLPs instead
# of CBSA and ODL. Published: 79.9 top-1 at 224 px (DeiT-small, README_deit.md of
# facebookresearch/deit); not trained here.
# bash tools/dist_train.sh configs/vit/vit-s_modern_in1k.py 8 --amp bfloat16
_base_ = '../cbt_alpha/cbt-alpha-s_in1k.py'
model = dict(backbone=dict(
    _delete_=True, type='PlainViT', arch='small', img_size=224, patch_size=16,
    drop_path_rate=0.1))
