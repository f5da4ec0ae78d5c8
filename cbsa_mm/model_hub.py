"""Classifiers by name, for mmpretrain's ``list_models``, ``get_model`` and inferencers."""
from mmpretrain.apis import ModelHub

from cbsa_mm import MIM

for metafile in sorted(MIM.glob('configs/*/metafile-cls.yml')):
    ModelHub.register_model_index(metafile, config_prefix=MIM)
