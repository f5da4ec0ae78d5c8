"""zero_shot_seg.py, on small models with random weights."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from cbsa_mm.datasets.shapes import render
from cbsa_mm.inference.masks import open_test_set
from cbsa_mm.interpret import split_labels

CAMVID = Path(__file__).parents[1] / 'configs/cbt/cbt-t_camvid.py'
PARTS = ('foreground', 'background', 'boundary')


@pytest.fixture
def voc(tmp_path):
    """Three images in PASCAL VOC 2012's layout: object, background and void in bands of patches."""
    root = tmp_path / 'VOCdevkit/VOC2012'
    for folder in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    labels = np.zeros((32, 64), np.uint8)
    labels[:, 16:24] = 255
    labels[:, 24:] = 15
    rng = np.random.default_rng(0)
    for i in range(3):
        mask = Image.fromarray(labels)
        mask.putpalette(rng.integers(256, size=768, dtype=np.uint8).tobytes())
        mask.save(root / f'SegmentationClass/{i}.png')
        image = rng.integers(256, size=(32, 64, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / f'JPEGImages/{i}.jpg')
    (root / 'ImageSets/Segmentation/val.txt').write_text('0\n1\n2\n')
    return root


def scores(run_tool, *arguments):
    """What the tool finds."""
    run_tool('zero_shot_seg', *arguments, '--json', 'scores.json')
    return json.loads(Path('scores.json').read_text())['results']


def test_scores_on_shapes(make, run_tool, capsys):
    classifier, _ = make('cbt-t_shapes-cls', 'TSSA')
    results = scores(run_tool, *make('cbt-t_shapes'), classifier, 'none')
    printed = capsys.readouterr().out
    assert [result['name'] for result in results] == [
        'cbt-t_shapes_CBSA, cbt-t_shapes_CBSA', 'cbt-t_shapes-cls_TSSA, random weights']
    for result in results:
        assert result['size'] == [64, 64]
        for part in PARTS:
            assert result[part]['num_images'] == 3
            layers, best = result[part]['layers'], result[part]['any_layer']
            assert len(layers) == 2 and 0 < min(layers) <= max(layers) <= best < 1
            assert f'{best:.3f}' in printed
    with Image.open('zero_shot.png') as picture:
        assert min(picture.size) > 500


def test_images_and_masks_are_resized_alike(make):
    images = open_test_set(Config.fromfile(make('cbt-t_shapes')[0]), None, width=2)
    image, masks = images.read(0, (64, 256))
    assert image.shape == (64, 256, 3)
    labels = torch.from_numpy(render(1, 0, 128, 4)[1])
    assert torch.equal(masks, split_labels(labels, range(1, 6), 2)[:, ::2].repeat_interleave(2, 2))


def test_a_perfect_map_scores_1(voc, make, run_tool, monkeypatch):
    # Models get two heads more, so that each of VOC's parts above is the map of one head.
    masks = torch.zeros(3, 8, 8)
    masks[0, :, 3:] = masks[1, :, :2] = masks[2, :, 2] = 1
    monkeypatch.setattr('cbsa_mm.interpret.attention_maps', lambda *_: masks[None, :, None])
    arguments = make('cbt-t_shapes')[0], 'none', '--voc', voc
    [result] = scores(run_tool, *arguments, '--threshold', 1)
    assert [result[part]['layers'] for part in PARTS] == [[1, 1]] * 3
    [result] = scores(run_tool, *arguments, '--num', 2)  # 60 % of 40, 16 and 8 patches
    assert [result[part]['num_images'] for part in PARTS] == [2] * 3
    assert [result[part]['any_layer'] for part in PARTS] == pytest.approx([24 / 40, 10 / 16, 5 / 8])

    # An image without a part is left out.
    Image.fromarray(np.zeros((32, 64), np.uint8)).save(voc / 'SegmentationClass/1.png')
    [result] = scores(run_tool, *arguments, '--threshold', 1)
    assert [result[part]['num_images'] for part in PARTS] == [2, 3, 2]
    assert [result[part]['any_layer'] for part in PARTS] == pytest.approx([1, (2 + 40 / 64) / 3, 1])


def test_voc_that_is_not_there_or_faulty(voc, make, run_tool):
    arguments = 'zero_shot_seg', make('cbt-t_shapes')[0], 'none', '--voc'
    with pytest.raises(SystemExit, match='there is no VOCdevkit/JPEGImages. PASCAL VOC 2012 is '
                                         'expected as it unpacks: give'):
        run_tool(*arguments, 'VOCdevkit')
    (voc / 'SegmentationClass/2.png').write_bytes(b'')
    with pytest.raises(SystemExit, match='SegmentationClass/2.png is empty'):
        run_tool(*arguments, voc)
    assert not Path('zero_shot.png').exists()


def test_foreground_by_name(run_tool, tmp_path):
    for kind in ('images', 'annotations'):
        (tmp_path / f'data/camvid/{kind}/val').mkdir(parents=True)
    labels = np.full((36, 48), 3, np.uint8)  # a car on the road, and void
    labels[12:24, 12:36], labels[:, :4] = 8, 255
    Image.fromarray(labels).save('data/camvid/annotations/val/0.png')
    Image.fromarray(np.stack([labels] * 3, -1)).save('data/camvid/images/val/0.jpg')
    with pytest.raises(SystemExit, match='no class named background: say which .* sky, building'):
        run_tool('zero_shot_seg', CAMVID, 'none')
    with pytest.raises(SystemExit, match='bus, cat: no class of the data set, which are sky, buil'):
        run_tool('zero_shot_seg', CAMVID, 'none', '--foreground', 'bus', 'car', 'cat')
    [result] = scores(run_tool, CAMVID, 'none', '--foreground', 'car', '--size', 48, 64)
    assert result['size'] == [48, 64]
    assert all(result[part]['num_images'] == 1 for part in PARTS)


def test_refuses(make, run_tool):
    with pytest.raises(SystemExit, match='has no masks: choose a config for segmentation, or PAS'):
        run_tool('zero_shot_seg', make('cbt-t_shapes-cls')[0], 'none')
    config, _ = make('cbt-t_shapes', 'LinearAttention')
    with pytest.raises(SystemExit, match='no token-by-token matrix.* CBSA with pooled .* have one'):
        run_tool('zero_shot_seg', config, 'none')
    assert not Path('zero_shot.png').exists()
