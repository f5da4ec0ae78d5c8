import pytest
from mmengine.config import Config

from cbsa_mm.datasets import read_metainfo
from cbsa_mm.errors import UserError


@pytest.mark.parametrize('loader', [None, dict(batch_size=1)])
def test_a_config_without_test_data(loader):
    with pytest.raises(UserError, match='the config has no test_dataloader.dataset, which'):
        read_metainfo(Config(dict(default_scope='mmseg', test_dataloader=loader)))
