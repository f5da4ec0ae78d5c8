"""What becomes of faulty and unusual image files, in the pipelines of mmseg and mmpretrain."""
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from cbsa_mm.datasets import ShapesDataset, build_dataset, dataset_parts
from cbsa_mm.errors import DataError

DATASETS = Path(__file__).parents[2] / 'configs/_base_/datasets'
PIXELS = np.random.default_rng(0).integers(256, size=(12, 16, 3), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(1, 151, size=(12, 16), dtype=np.uint8)
DEEP = PIXELS[..., 0].astype(np.uint16) * 257
UPSIDE_DOWN, QUARTER_TURN = 3, 6


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

    def build(image=PNG, labels=LABEL_MAP, name='a', **options):
        for kind, suffix, content in (('images', 'jpg', image), ('annotations', 'png', labels)):
            file = tmp_path / kind / 'validation' / f'{name}.{suffix}'
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

    def build(image=PNG, name='a', label=0, **options):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'b.JPEG').write_bytes(image)
        (tmp_path / 'list.txt').write_text(f'{name}/b.JPEG {label}', encoding='utf-8')
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
    (PNG[:-100], 'is damaged or cut off'),
    (b'', 'is empty: replace it'),
    (b'<!doctype html>', 'is no image file: replace it'),
])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_unreadable_images_are_named(content, message, backend, segmentation, classification):
    with pytest.raises(DataError, match=f'^image .*/images/validation/a.jpg {message}'):
        segmentation(content, imdecode_backend=backend)[0]
    with pytest.raises(DataError, match=f'^image .*/a/b.JPEG {message}'):
        classification(content, imdecode_backend=backend)[0]


def test_what_one_decoder_alone_can_read_is_named(segmentation):
    floats = encode(PIXELS[..., 0].astype(np.float32), 'TIFF')
    with pytest.raises(DataError, match=r"image .*a.jpg can't be loaded \(failed to load image"):
        segmentation(floats)[0]


@pytest.mark.parametrize('labels, message', [
    (LABEL_MAP[:len(LABEL_MAP) // 2], r'a.png is damaged or cut off'),
    (b'', 'a.png is empty'),
    (None, 'a.png: add it, or leave its sample out'),
    (encode(LABELS[:9]), r'a.png has shape \(9, 16\), its image .*a.jpg \(12, 16\): mend one'),
    (encode(LABELS + 50), r'a.png has values \[150, .*outside the 150 classes: expected 0..149, or '
     r'255 .*\(after reduce_zero_label\)'),
    (PNG, r'a.png has shape \(12, 16, 3\): it must hold one class a pixel, not a colour'),
    (encode(LABELS.astype(np.uint16) + 256), 'a.png has values from 258 to 406, of which the '
     'lowest eight bits would be kept'),
])
def test_faulty_label_maps_are_named(labels, message, segmentation):
    with pytest.raises(DataError, match=f'label map .*/annotations/validation/{message}'):
        segmentation(labels=labels)[0]


@pytest.mark.parametrize('labels', [
    encode(LABELS.astype(np.uint16)), encode(LABELS, mode='P'), encode(LABELS, 'TIFF'),
])
def test_label_maps_of_other_kinds_are_read(labels, segmentation):
    values = segmentation(labels=labels)[0]['data_samples'].gt_sem_seg.data[0]
    np.testing.assert_array_equal(values, LABELS - 1)


@pytest.mark.parametrize('image, shown', [
    (encode(PIXELS[..., 0]), np.stack([PIXELS[..., 0]] * 3, axis=-1)),
    (encode(PIXELS, mode='RGBA'), PIXELS),
    (encode(DEEP), np.stack([PIXELS[..., 0]] * 3, axis=-1)),
    (cv2.imencode('.png', PIXELS[..., ::-1].astype(np.uint16) * 257)[1].tobytes(), PIXELS),
], ids=['grey', 'RGBA', '16-bit grey', '16-bit RGB'])
def test_images_of_other_kinds_are_seen_as_rgb(image, shown, segmentation, classification):
    inputs = segmentation(image)[0]['inputs']
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), shown)
    inputs = classification(image, imdecode_backend='cv2')[0]['inputs']
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), shown)


def test_exif_rotates_an_image_but_no_label_map(segmentation):
    rotated = encode(PIXELS, orientation=QUARTER_TURN)
    with pytest.raises(DataError, match=r'a.png has shape \(12, 16\), its image .*\(16, 12\): '
                                        "EXIF .*Set color_type='color_ignore_orientation'"):
        segmentation(rotated)[0]
    inputs = segmentation(rotated, color_type='color_ignore_orientation')[0]['inputs']
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), PIXELS)
    # Label maps that were drawn on the image upright fit it.
    inputs = segmentation(rotated, encode(np.rot90(LABELS, -1).copy()))[0]['inputs']
    assert inputs.shape == (3, 16, 12)


def test_imagenet_ignores_exif_as_published(classification):
    inputs = classification(encode(PIXELS, orientation=UPSIDE_DOWN))[0]['inputs']
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), PIXELS)


def test_names_need_not_be_ascii(segmentation, classification):
    assert segmentation(name='bäume 東京')[0]['data_samples'].img_path.endswith('bäume 東京.jpg')
    assert classification(name='bäume 東京')[0]['data_samples'].gt_label == 0
    with pytest.raises(DataError, match='bäume 2/b.JPEG is empty'):
        classification(b'', name='bäume 2')[0]


def test_label_of_an_image_outside_the_classes(classification):
    with pytest.raises(DataError, match='image .*/b.JPEG has label 2 outside the 2 classes: '
                                        'expected 0..1'):
        classification(label=2)[0]


def test_errors_that_no_file_is_to_blame_for_stay_what_they_are(classification):
    dataset = classification()
    dataset.pipeline.transforms.append(lambda results: results['nowhere'])
    with pytest.raises(KeyError, match='nowhere'):
        dataset[0]


def test_reaches_into_wrappers_and_test_time_augmentation(tmp_path):
    init_default_scope('mmseg')
    tta = Config.fromfile(DATASETS / 'shapes.py').tta_pipeline
    dataset = build_dataset(dict(type='ConcatDataset', datasets=[
        dict(type='RepeatDataset', times=2, dataset=dict(
            type='ShapesDataset', num_images=1, pipeline=tta)),
        dict(type='ShapesDataset', num_images=1)]))
    first, second = dataset_parts(dataset)
    assert isinstance(first, ShapesDataset) and isinstance(second, ShapesDataset)
    data_info = first.get_data_info(0)
    for name, message in (('img_path', 'image'), ('seg_map_path', 'label map')):
        with pytest.raises(DataError, match=f'there is no {message} nowhere.png'):
            first.pipeline(dict(data_info, seg_fields=[], **{name: 'nowhere.png'}))
    Image.new('L', (128, 128), 6).save(tmp_path / 'labels.png')
    with pytest.raises(DataError, match=r'labels.png has values \[6\] outside the 6 classes'):
        first.pipeline(dict(data_info, seg_fields=[], seg_map_path=str(tmp_path / 'labels.png')))
