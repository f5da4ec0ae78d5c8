from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from PIL import Image

from cbsa_mm.errors import DataError
from cbsa_mm.inference import image_pipeline

CONFIGS = Path(__file__).parents[2] / 'configs'


def test_files_are_seen_as_the_arrays_of_a_data_set_are(tmp_path):
    cfg = Config.fromfile(CONFIGS / 'finetune/cbt-t_cifar10.py')
    pixels = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'image.png')
    from_file = image_pipeline(cfg)(dict(img_path=str(tmp_path / 'image.png')))['inputs']
    from_array = Compose(cfg.test_dataloader.dataset.pipeline)(dict(img=pixels))['inputs']
    assert torch.equal(from_file, from_array)


@pytest.mark.parametrize('config', ['cbt/cbt-t_ade20k', 'finetune/cbt-t_cifar10'])
def test_faulty_images_are_named(config, tmp_path):
    cfg = Config.fromfile(CONFIGS / f'{config}.py')
    (tmp_path / 'image.png').touch()
    with pytest.raises(DataError, match='image .*/image.png is empty'):
        image_pipeline(cfg)(dict(img_path=str(tmp_path / 'image.png')))
