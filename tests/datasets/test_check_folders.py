import pytest
from mmengine.config import Config

from cbsa_mm.datasets import check_data_folders
from cbsa_mm.errors import UserError


def test_missing_folder_is_named(tmp_path):
    (tmp_path / 'images').mkdir()
    dataset = dict(data_root=str(tmp_path), data_prefix=dict(img='images', labels='labels'))
    cfg = Config(dict(train_dataloader=dict(
        dataset=dict(type='ConcatDataset', datasets=[dict(), dataset]))))
    with pytest.raises(UserError, match='train_dataloader.dataset.datasets.1: there is no folder '
                       f'{tmp_path}/labels.*--cfg-options train_dataloader.dataset.datasets.1'):
        check_data_folders(cfg, ('train_dataloader', ))
    (tmp_path / 'labels').mkdir()
    check_data_folders(cfg, ('train_dataloader', ))
