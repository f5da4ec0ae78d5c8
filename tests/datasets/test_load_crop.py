"""Loading a crop against loading an image and cropping it."""
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image

import cbsa_mm  # noqa: F401
from cbsa_mm.datasets.shapes import render

BASES = Path(__file__).parents[2] / 'configs/_base_/datasets'


@pytest.fixture
def crops(tmp_path):
    """Differences of the fast pipeline's images from the usual one's, of any size and file."""

    def compare(side, suffix='jpg', mode='RGB', **options):
        init_default_scope('mmpretrain')
        pipelines = []
        for name in ('imagenet-fast', 'imagenet'):
            steps = Config.fromfile(BASES / f'{name}.py').train_pipeline
            [crop] = [step for step in steps if 'Crop' in step.type]
            crop.update(scale=side, **(options if name == 'imagenet-fast' else {}))
            pipelines.append(Compose(steps))
        file = tmp_path / f'image.{suffix}'
        exif = Image.Exif()
        exif[0x0112] = 6  # turned, which is ignored
        Image.fromarray(render(0, 1, 300, 1)[0][:260]).convert(mode).save(file, exif=exif)
        for seed in range(20):
            images, draws = [], []
            for pipeline in pipelines:
                np.random.seed(seed)
                sample = pipeline(dict(img_path=str(file), gt_label=0))
                images.append(sample['inputs'].numpy().astype(int))
                draws.append((np.random.rand(), sample['data_samples'].ori_shape))
            assert draws[0] == draws[1]
            yield np.abs(images[0] - images[1]).mean()

    return compare


@pytest.mark.parametrize('suffix, mode', [('jpg', 'RGB'), ('jpg', 'L'), ('jpg', 'CMYK'),
                                          ('png', 'RGB')])
def test_pixels_of_what_is_decoded_in_full(crops, suffix, mode):
    assert not any(crops(224, suffix, mode))
    assert not any(crops(32, suffix, mode, scaled_decoding=False))


def test_pixels_of_large_crops_differ_a_little(crops):
    differences = [*crops(32)]
    assert 0 < np.mean(differences) and max(differences) < 5
