"""check_data.py finds everything that is wrong with a data set, and tells what is in it."""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbsa_mm.datasets import ShapesDataset, survey

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


def test_what_is_in_a_segmentation_data_set(check, ade, tmp_path):
    root, options = ade
    pixels, labels = np.zeros((40, 30, 3), np.uint8), np.full((40, 30), 2, np.uint8)
    labels[:10] = 1
    labels[-10:] = 0  # none, by reduce_zero_label
    for file in root.glob('*/training/*'):
        file.unlink()
    for i, mode in enumerate(('RGB', 'L', 'RGBA')):
        Image.fromarray(pixels).convert(mode).save(root / f'images/training/{i}.jpg', 'PNG')
        Image.fromarray(labels).save(root / f'annotations/training/{i}.png')
    code, found, printed = check(
        'cbt/cbt-t_ade20k.py', '--workers', 1, '--out', 'found.png', **options)
    assert code == 0
    assert list(found) == ['train', 'val']  # the test set is that for validation
    train = found['train']
    assert train['num_images'] == 3
    assert train['faults'] == []
    assert train['sizes'] == [[40, 30, 3]]
    assert train['kinds'] == dict(RGB=1, grey=1, RGBA=1)
    assert train['class_counts'] == [3 * 10 * 30, 3 * 20 * 30] + [0] * 148
    assert 'most frequent of 150 classes: building 66.67%, wall 33.33%' in printed
    assert 'never: sky, floor' in printed
    assert 'no faults in train and val' in printed
    assert Image.open(tmp_path / 'found.png').height == 600


def test_all_faults_are_reported(check, ade):
    root, options = ade
    images, labels = root / 'images/training', root / 'annotations/training'
    for i in range(2, 6):
        shutil.copy(images / '0.jpg', images / f'{i}.jpg')
        shutil.copy(labels / '0.png', labels / f'{i}.png')
    (images / '2.jpg').write_bytes((images / '0.jpg').read_bytes()[:700])
    (labels / '3.png').unlink()
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(labels / '4.png')
    Image.fromarray(np.full((96, 128), 200, np.uint8)).save(labels / '5.png')
    code, found, printed = check('cbt/cbt-t_ade20k.py', '--workers', 2, '--split', 'train',
                                 **options)
    assert code == 1
    assert found['train']['num_images'] == 6
    for fault, (kind, name, message) in zip(found['train']['faults'], [
        ('image', '2.jpg', 'is damaged or cut off'),
        ('there is no label map', '3.png', 'add it'),
        ('label map', '4.png', 'has shape (5, 5), its image'),
        ('label map', '5.png', 'has values [199] outside the 150 classes'),
    ], strict=True):
        assert fault.startswith(kind) and f'/{name} ' in fault.replace(':', ' ')
        assert message in fault
        assert f'- {fault}\n' in printed
    assert '4 faults in train' in printed


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


def test_a_data_set_that_is_not_there(check):
    options = {'train_dataloader.dataset.data_root': 'data'}
    code, found, _ = check('cbt/cbt-t_ade20k.py', '--split', 'train', **options)
    assert code == 1
    [fault] = found['train']['faults']
    assert 'there is no data/images/training. Put or link the data set there' in fault


def test_a_config_without_data(run_tool, tmp_path, capsys):
    (tmp_path / 'own.py').write_text("default_scope = 'mmseg'")
    with pytest.raises(SystemExit, match='1'):
        run_tool('check_data', 'own.py')
    assert '- the config has no train_dataloader' in capsys.readouterr().out


def test_some_images_of_a_large_data_set(check):
    options = {'train_dataloader.dataset.size': 32}
    code, found, _ = check('cbt/cbt-t_shapes.py', '--split', 'train', '--workers', 0, '--num', 20,
                           **options)
    assert code == 0
    assert found['train']['num_images'] == 20
    assert found['train']['sizes'] == [[32, 32, 20]]


def test_progress_without_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.modules[survey.__module__], 'INTERVAL', 0)
    data = ShapesDataset(num_images=16)
    survey(data, data.metainfo['classes'], title='val')
    assert capsys.readouterr().err == 'val: 0% is read\nval: 50% is read\n'
