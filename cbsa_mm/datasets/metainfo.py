"""Names and colours of the classes."""
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, init_default_scope

from cbsa_mm.errors import UserError


def read_metainfo(cfg: Config, checkpoint: dict | None = None) -> dict:
    """Class names and colours: a checkpoint's, or those of the data set that a config tests on.

    Args:
        cfg: A config; the files of its data set need not be there.
        checkpoint: A checkpoint, which may tell them.
    """
    told = (checkpoint or {}).get('meta', {}).get('dataset_meta')
    if told:
        return told
    init_default_scope(cfg.default_scope)
    return DATASETS.build(dict(find_test_dataset(cfg), lazy_init=True)).metainfo


def find_test_dataset(cfg: Config) -> ConfigDict:
    """The data set that a config tests on.

    Args:
        cfg: A config.

    Raises:
        UserError: If it has none.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset')
    if not dataset or not dataset.get('pipeline'):
        raise UserError(f'{cfg.filename or "the config"} has no test_dataloader.dataset with a '
                        'pipeline, which describes images and classes')
    return dataset
