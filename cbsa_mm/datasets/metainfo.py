"""Names and colours of the classes."""
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope


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
    return DATASETS.build(dict(cfg.test_dataloader.dataset, lazy_init=True)).metainfo
