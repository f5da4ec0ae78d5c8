import pytest
from mmengine.config import Config

from cbsa_mm.datasets import check_data_folders
from cbsa_mm.errors import UserError


@pytest.mark.parametrize('wrap, key', [
    (lambda dataset: dict(type='RepeatDataset', dataset=dataset), 'dataset'),
    (lambda dataset: dict(type='ConcatDataset', datasets=[dict(), dataset]), 'datasets.1'),
])
def test_missing_folder_is_named(wrap, key, tmp_path):
    (tmp_path / 'images').mkdir()
    dataset = dict(data_root=str(tmp_path), data_prefix=dict(img='images', labels='labels'))
    cfg = Config(dict(train_dataloader=dict(dataset=wrap(dataset))))
    with pytest.raises(UserError, match=rf'train_dataloader.dataset.{key}: there is no folder '
                       rf'{tmp_path}/labels.*--cfg-options train_dataloader.dataset.{key}'):
        check_data_folders(cfg, ('train_dataloader', ))
    (tmp_path / 'labels').mkdir()
    check_data_folders(cfg, ('train_dataloader', ))


def test_data_without_files_has_no_folders():
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='ShapesDataset'))))
    check_data_folders(cfg, ('train_dataloader', 'val_dataloader'))
