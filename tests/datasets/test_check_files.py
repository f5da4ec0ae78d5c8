"""What becomes of faulty and unusual image files, in the pipelines of mmseg and mmpretrain."""
import io
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from cbsa_mm.datasets import build_dataset
from cbsa_mm.errors import DataError

DATASETS = Path(__file__).parents[2] / 'configs/_base_/datasets'
PIXELS = np.random.default_rng(0).integers(256, size=(12, 16, 3), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(1, 151, size=(12, 16), dtype=np.uint8)
QUARTER_TURN = 6


def encode(pixels, suffix='PNG', mode=None, orientation=1):
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x112] = orientation
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, suffix, exif=exif)
    return buffer.getvalue()


JPEG, PNG, LABEL_MAP = encode(PIXELS, 'JPEG'), encode(PIXELS), encode(LABELS)


@pytest.fixture
def segmentation(tmp_path):
    """Builds ADE20K's data set, as the config says, of one image and label map of these bytes."""

    def build(image=PNG, labels=LABEL_MAP, **options):
        for kind, suffix, content in (('images', 'jpg', image), ('annotations', 'png', labels)):
            file = tmp_path / kind / 'validation' / f'a.{suffix}'
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                file.write_bytes(content)
        init_default_scope('mmseg')
        cfg = Config.fromfile(DATASETS / 'ade20k.py').val_dataloader.dataset
        cfg.pipeline[1].scale = (16, 12)
        cfg.pipeline[0].update(options)
        cfg.update(data_root=str(tmp_path), serialize_data=False)  # which takes half a second
        return build_dataset(cfg)

    return build


@pytest.fixture
def classification(tmp_path):
    """Builds a data set by ImageNet's config, of one image of these bytes."""

    def build(image=PNG, label=0, **options):
        (tmp_path / 'bäume').mkdir()
        (tmp_path / 'bäume/b.JPEG').write_bytes(image)
        (tmp_path / 'list.txt').write_text(f'bäume/b.JPEG {label}', encoding='utf-8')
        init_default_scope('mmpretrain')
        cfg = Config.fromfile(DATASETS / 'imagenet.py').val_dataloader.dataset
        cfg.pipeline[0].update(options)
        cfg.update(type='CustomDataset', data_root=str(tmp_path), data_prefix='',
                   ann_file='list.txt', serialize_data=False, metainfo=dict(classes=['one', 'two']),
                   pipeline=[cfg.pipeline[0], cfg.pipeline[-1]])
        return build_dataset(cfg)

    return build


@pytest.mark.parametrize('content, message', [
    (JPEG[:len(JPEG) // 2], r'is damaged or cut off \(.*\): replace it, or leave it out'),
    (b'', 'is empty: replace it'),
    (b'<!doctype html>', 'is no image file: replace it'),
])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_unreadable_images_are_named(content, message, backend, segmentation, classification):
    with pytest.raises(DataError, match=f'^image .*/images/validation/a.jpg {message}'):
        segmentation(content, imdecode_backend=backend)[0]
    with pytest.raises(DataError, match=f'^image .*/bäume/b.JPEG {message}'):
        classification(content, imdecode_backend=backend)[0]


def test_label_of_an_image_outside_the_classes(classification):
    with pytest.raises(DataError, match='image .*/b.JPEG has label 2 outside the 2 classes: '
                                        'expected 0..1'):
        classification(label=2)[0]


@pytest.mark.parametrize('labels, message', [
    (LABEL_MAP[:len(LABEL_MAP) // 2], r'a.png is damaged or cut off'),
    (None, 'a.png: add it, or leave its sample out'),
    (encode(LABELS[:9]), r'a.png has shape \(9, 16\), its image .*a.jpg \(12, 16\): mend one'),
    (encode(LABELS + 50), r'a.png has values \[150, .*outside the 150 classes: expected 0..149, or '
     r'255 .*\(after reduce_zero_label\)'),
    (PNG, r'a.png has shape \(12, 16, 3\): it must hold one class a pixel, not a colour'),
    (encode(LABELS.astype(np.uint16) + 256), r'a.png has values from \d+ to \d+, of which '
     'the lowest eight bits would be kept'),
    (encode(LABELS.astype(np.int32) - 90, 'TIFF'), r'a.png has values from -\d+ to '),
])
def test_faulty_label_maps_are_named(labels, message, segmentation):
    with pytest.raises(DataError, match=f'label map .*/annotations/validation/{message}'):
        segmentation(labels=labels)[0]


@pytest.mark.parametrize('image, shown', [
    (encode(PIXELS[..., 0]), np.stack([PIXELS[..., 0]] * 3, axis=-1)),
    (encode(PIXELS, mode='RGBA'), PIXELS),
    (encode(PIXELS[..., 0].astype(np.uint16) * 257), np.stack([PIXELS[..., 0]] * 3, axis=-1)),
], ids=['grey', 'RGBA', '16-bit'])
def test_images_of_other_kinds_are_seen_as_rgb(image, shown, segmentation, classification):
    inputs = segmentation(image)[0]['inputs']
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), shown)
    inputs = classification(image, imdecode_backend='cv2')[0]['inputs']
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), shown)


def test_exif_rotates_an_image_but_no_label_map(segmentation, classification):
    rotated = encode(PIXELS, orientation=QUARTER_TURN)
    with pytest.raises(DataError, match=r'a.png has shape \(12, 16\), its image .*\(16, 12\): '
                                        "mend .* EXIF .*set color_type='color_ignore_orientation'"):
        segmentation(rotated)[0]
    inputs = segmentation(rotated, color_type='color_ignore_orientation')[0]['inputs']
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), PIXELS)
    inputs = classification(rotated)[0]['inputs']  # ImageNet's are not rotated, as published
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), PIXELS)
