"""check_data.py finds everything that is wrong with a data set, and tells what is in it."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CONFIGS = Path(__file__).parents[1] / 'configs'


@pytest.fixture
def check(run_tool, capsys):
    """Runs the tool: its exit code, its findings from JSON, and what it printed."""

    def run(config, *arguments, **options):
        options = [f'{key}={value}' for key, value in options.items()]
        with pytest.raises(SystemExit) as end:
            run_tool('check_data', CONFIGS / config, '--json', 'found.json', *arguments,
                     *(['--cfg-options', *options] if options else []))
        return end.value.code, json.loads(Path('found.json').read_text()), capsys.readouterr().out

    return run


@pytest.fixture
def ade(ade20k, tmp_path):
    """A copy of ADE20K's layout, to be spoilt, and the options that say where it is."""
    shutil.copytree(ade20k, tmp_path / 'ade')
    return tmp_path / 'ade', {
        f'{split}_dataloader.dataset.data_root': tmp_path / 'ade'
        for split in ('train', 'val', 'test')}


def save(pixels, path, mode=None, **options):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)


def test_what_is_in_a_segmentation_data_set(check, ade, tmp_path):
    root, options = ade
    pixels, labels = np.zeros((40, 30, 3), np.uint8), np.full((40, 30), 2, np.uint8)
    labels[:10] = 1
    labels[-10:] = 0  # none, by reduce_zero_label
    for file in root.glob('*/training/*'):
        file.unlink()
    for i, mode in enumerate(('RGB', 'L', 'RGBA')):
        save(pixels, root / f'images/training/{i}.jpg', mode, format='PNG')
        save(labels, root / f'annotations/training/{i}.png')
    save(np.zeros((20, 50, 3), np.uint8), root / 'images/training/3.jpg')
    save(np.full((20, 50), 2, np.uint8), root / 'annotations/training/3.png')
    code, found, printed = check(
        'cbt/cbt-t_ade20k.py', '--workers', 1, '--out', 'found.png', **options)
    assert code == 0
    assert list(found) == ['train', 'val']  # the test set is that for validation
    train = found['train']
    assert train['num_images'] == 4
    assert train['faults'] == []
    assert sorted(train['sizes']) == [[20, 50, 1], [40, 30, 3]]
    assert train['kinds'] == dict(RGB=2, grey=1, RGBA=1)
    assert train['classes'][:2] == ['wall', 'building']
    assert train['class_counts'] == [3 * 10 * 30, 3 * 20 * 30 + 20 * 50] + [0] * 148
    assert 'most frequent of 150 classes: building 75.68%, wall 24.32%' in printed
    assert 'never: sky, floor' in printed
    assert 'height: 20 to 40 pixels, median 40' in printed
    assert 'no faults in train and val' in printed
    assert Image.open(tmp_path / 'found.png').height == 600


def test_all_faults_are_reported(check, ade):
    root, options = ade
    images, labels = root / 'images/training', root / 'annotations/training'
    whole, label_map = (images / '0.jpg').read_bytes(), (labels / '0.png').read_bytes()
    for i in range(2, 9):
        (images / f'{i}.jpg').write_bytes(whole)
        (labels / f'{i}.png').write_bytes(label_map)
    (images / '2.jpg').write_bytes(whole[:700])
    (images / '3.jpg').write_bytes(b'')
    (labels / '3.png').write_bytes(label_map[:700])
    (labels / '4.png').unlink()
    save(np.zeros((5, 5), np.uint8), labels / '5.png')
    save(np.full((96, 128), 200, np.uint8), labels / '6.png')
    save(np.full((96, 128), 1000, np.uint16), labels / '7.png')
    (images / '8.jpg').rename(images / 'bäume.jpg')
    (labels / '8.png').rename(labels / 'bäume.png')
    (labels / 'bäume.png').write_text('text')
    code, found, printed = check('cbt/cbt-t_ade20k.py', '--workers', 2, '--split', 'train',
                                 **options)
    assert code == 1
    assert found['train']['num_images'] == 9
    faults = found['train']['faults']
    for fault, (kind, name, message) in zip(faults, [
        ('image', '2.jpg', 'is damaged or cut off'),
        ('image', '3.jpg', 'is empty'),
        ('label map', '3.png', 'is damaged or cut off'),
        ('there is no label map', '4.png', 'add it'),
        ('label map', '5.png', 'has shape (5, 5), its image'),
        ('label map', '6.png', 'has values [199] outside the 150 classes'),
        ('label map', '7.png', 'has values above 255'),
        ('label map', 'bäume.png', 'is no image file'),
    ], strict=True):
        assert fault.startswith(kind) and f'/{name} ' in fault.replace(':', ' ')
        assert message in fault
        assert f'- {fault}\n' in printed
    assert '8 faults in train' in printed


def test_is_as_strict_as_training(check, ade):
    root, options = ade
    save(np.full((96, 128), 151, np.uint8), root / 'annotations/training/0.png')
    pipeline = ('[dict(type="LoadImageFromFile"),dict(type="LoadAnnotations"),'
                'dict(type="PackSegInputs")]')
    config = Path('own.py')
    config.write_text(f'_base_ = {str(CONFIGS / "cbt/cbt-t_ade20k.py")!r}\n'
                      f'train_dataloader = dict(dataset=dict(pipeline={pipeline}))\n')
    code, found, _ = check(config.resolve(), '--split', 'train', '--workers', 0, **options)
    assert code == 1
    [fault] = found['train']['faults']
    assert 'annotations/training/0.png has values [150] outside the 150 classes' in fault


def test_classification(check, imagenet, tmp_path):
    shutil.copytree(imagenet, tmp_path / 'imagenet')
    root = tmp_path / 'imagenet'
    for file in (root / 'train/n01443537').iterdir():
        file.unlink()
    (root / 'train/n01440764/0.JPEG').write_bytes(b'')
    options = {f'{split}_dataloader.dataset.{key}': value
               for split in ('train', 'val', 'test')
               for key, value in (('type', 'CustomDataset'), ('data_root', root))}
    code, found, printed = check('cbt/cbt-t_in1k.py', '--workers', 0, **options)
    assert code == 1
    unreadable, count = found['train']['faults']
    assert unreadable.startswith(f'image {root}/train/n01440764/0.JPEG is empty')
    assert 'has 3 classes, but the model predicts 1000: set model.head.num_classes=3' in count
    assert found['val']['faults'] == [count]
    assert found['train']['class_counts'] == [1, 0, 2]
    assert 'never: n01443537' in printed
    code, found, _ = check('cbt/cbt-t_in1k.py', '--split', 'val', **options,
                           **{'model.head.num_classes': 3})
    assert code == 0
    assert found['val']['class_counts'] == [2, 2, 2]


@pytest.mark.parametrize('make, message', [
    (lambda images: None, 'there is no data/images/training'),
    (lambda images: images.mkdir(parents=True), 'it has no images: check its data_root'),
])
def test_a_data_set_that_is_not_there(make, message, check, tmp_path):
    make(tmp_path / 'data/images/training')
    if (tmp_path / 'data').exists():
        (tmp_path / 'data/annotations/training').mkdir(parents=True)
    options = {'train_dataloader.dataset.data_root': 'data'}
    code, found, _ = check('cbt/cbt-t_ade20k.py', '--split', 'train', **options)
    assert code == 1
    [fault] = found['train']['faults']
    assert message in fault


def test_a_config_without_data(run_tool, tmp_path, capsys):
    (tmp_path / 'own.py').write_text("default_scope = 'mmseg'")
    with pytest.raises(SystemExit, match='1'):
        run_tool('check_data', 'own.py')
    assert '- the config has no train_dataloader' in capsys.readouterr().out


def test_some_images_of_a_large_data_set(check):
    config, options = 'cbt/cbt-t_shapes.py', ['--split', 'train', '--workers', 0]
    assert check(config, *options, '--num', 20)[1]['train']['num_images'] == 20
    assert check(config, *options)[1]['train']['num_images'] == 100  # of 100,000 that are drawn


@pytest.mark.parametrize('config, sizes', [
    ('cbt/cbt-t_shapes.py', [128, 128]), ('cbt/cbt-t_shapes-cls.py', [128, 128])])
def test_data_without_files(config, sizes, check):
    code, found, _ = check(config, '--split', 'val', '--workers', 0,
                           **{'val_dataloader.dataset.num_images': 4})
    assert code == 0
    assert found['val']['sizes'] == [[*sizes, 4]]
