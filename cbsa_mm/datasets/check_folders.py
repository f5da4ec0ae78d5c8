"""A check that data are where a config says."""
import os.path as osp

from mmengine.config import Config

from cbsa_mm.errors import UserError


def check_data_folders(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Checks that the folders which the data sets of a config name are there.

    Args:
        cfg: A config.
        loaders: Which of its data loaders are going to be used, such as 'train_dataloader'.

    Raises:
        UserError: If a folder is missing.
    """
    for loader in loaders:
        _check_folders(f'{loader}.dataset', (cfg.get(loader) or {}).get('dataset', {}))


def _check_folders(key: str, dataset: dict) -> None:
    if 'dataset' in dataset:  # RepeatDataset and the like
        _check_folders(f'{key}.dataset', dataset['dataset'])
    for i, part in enumerate(dataset.get('datasets', [])):  # ConcatDataset
        _check_folders(f'{key}.datasets.{i}', part)
    root = dataset.get('data_root') or ''
    prefixes = dataset.get('data_prefix', '')
    for prefix in prefixes.values() if isinstance(prefixes, dict) else [prefixes]:
        folder = osp.join(root, prefix)
        if folder and '://' not in folder and not osp.isdir(folder):
            raise UserError(f'{key}: there is no folder {folder}. Put or link the data set '
                            f'there, or say where it is: --cfg-options {key}.data_root=FOLDER')
