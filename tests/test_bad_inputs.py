"""A user's mistakes in data and configs end the tools at once, with one message."""
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_tools import SEGMENT, SHAPES

CONFIGS = Path(__file__).parents[1] / 'configs/cbt'
CLASSIFY = [*SHAPES, 'model.head.in_channels=16']
numbers = count()


@pytest.fixture
def fails(run_tool, tmp_path):
    """Runs a tool that must end with one message, and without a checkpoint."""

    def run(message, tool, *arguments):
        with pytest.raises(SystemExit, match=f'^{tool}.py: error: .*{message}') as end:
            run_tool(tool, *arguments)
        assert len(end.value.code.splitlines()) == 1
        assert not list((tmp_path / 'work').rglob('*.pth'))

    return run


def train(config, options):
    name = f'experiment_name={next(numbers)}'  # names of runs are by the second, else
    return ['train', CONFIGS / f'{config}.py', '--work-dir', 'work', '--cfg-options', name,
            *options]


def test_unreadable_files(ade20k, imagenet, fails, tmp_path):
    shutil.copytree(ade20k, tmp_path / 'ade')
    shutil.copytree(imagenet, tmp_path / 'imagenet')
    for file in (tmp_path / 'imagenet/train').rglob('*.JPEG'):
        file.write_bytes(file.read_bytes()[:700])
    options = ['model.head.num_classes=3', 'val_evaluator.topk=(1, )',
               'train_dataloader.num_workers=1', 'val_dataloader.num_workers=0']
    for split in ('train', 'val'):
        options += [f'{split}_dataloader.dataset.type=CustomDataset',
                    f'{split}_dataloader.dataset.data_root=imagenet']
    fails(r'image .*/train/n0\d*/\d.JPEG is damaged or cut off .*: replace it, or leave it out. '
          'All such files: python -m cbsa_mm check_data CONFIG', *train('cbt-t_in1k', options))

    segmenter = train('cbt-t_ade20k', [
        'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
        'model.backbone.init_cfg=None', 'train_dataloader.dataset.data_root=ade',
        'val_dataloader.dataset.data_root=ade'])
    for file in (tmp_path / 'ade/annotations/training').iterdir():
        file.write_bytes(b'')
    fails(r'label map .*/annotations/training/\d.png is empty: replace it.* All such files: ',
          *segmenter)
    for file in (tmp_path / 'ade/images/training').iterdir():
        file.unlink()
    fails('train_dataloader.dataset: it has no images: check its data_root', *segmenter)


@pytest.mark.parametrize('config, options, message', [
    # The data's place, and what is in it.
    ('cbt-t_ade20k', [], r'train_dataloader.dataset: there is no data/ade/ADE\w+/images/training. '
     '.*, or say where it is: --cfg-options train_dataloader.dataset.data_root=FOLDER'),
    # Misspelt names.
    ('cbt-t_shapes', ['model.decode_head.type=CBTHead'],
     'model.decode_head.type: mmseg has no CBTHead .*did you mean .*custom_imports'),
    ('cbt-t_shapes', ['trian_cfg.max_iters=3'],
     r'--cfg-options trian_cfg.max_iters: the config has no trian_cfg \(did you mean train_cfg'),
    # What is missing.
    ('cbt-t_shapes', ['train_dataloader=None', 'optim_wrapper=None'],
     'cbt-t_shapes.py has no train_dataloader, optim_wrapper'),
    # What is used after the training only.
    ('cbt-t_shapes', ['val_evaluator.iou_metrics=mIuO'],
     "validation would fail: KeyError: .*mIuO.* is not supported.*Check val_evaluator"),
    ('cbt-t_shapes', ['default_hooks.checkpoint.save_best=mIoUs'],
     r"the checkpoint hook's save_best='mIoUs' is not measured \(did you mean mIoU\?\), only aAcc"),
    # Sizes that don't go together.
    ('cbt-t_shapes', ['model.backbone.arch.num_heads=5'],
     'cbt-t_shapes.py: num_heads=5 does not divide embed_dims=16; choose another number of heads'),
    ('cbt-t_shapes', ['model.decode_head.in_channels=8'],
     'model.decode_head.in_channels=8, but the features of the backbone have 16 channels'),
    # Numbers of classes.
    ('cbt-t_shapes', ['model.decode_head.num_classes=4'],
     'ShapesDataset has 6 classes, but the model predicts 4: set model.decode_head.num_classes=6'),
    ('cbt-t_shapes-cls', ['val_evaluator.topk=(1, 9)'],
     'validation would fail: ValueError: Top-9 accuracy is unavailable'),
])
def test_config_mistakes(config, options, message, fails):
    small = {'cbt-t_shapes': SEGMENT, 'cbt-t_shapes-cls': CLASSIFY}.get(config, [])
    fails(message, *train(config, [*small, *options]))


def test_unreadable_config(fails, tmp_path):
    (tmp_path / 'bad.py').write_text('model = dict(')
    fails("config bad.py: '\\(' was never closed", 'train', 'bad.py')


def test_checkpoint_of_another_config(fails, tmp_path):
    torch.save(dict(state_dict={'head.fc.weight': torch.zeros(2, 2)}), tmp_path / 'other.pth')
    fails('other.pth does not fit the model: .*Use the config that it was trained with',
          *train('cbt-t_shapes', [*SEGMENT, 'load_from=other.pth']))


def test_predict_names_all_faulty_images(fails, tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    predict = ['predict', CONFIGS / 'cbt-t_shapes.py', 'none', 'images']
    fails('images is neither an image nor a folder with images', *predict)
    (folder / 'text.png').write_text('text')
    (folder / 'empty.jpg').touch()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / 'fine.png')
    fails('image images/empty.jpg is empty: .*; image images/text.png is no image file: '
          'replace it, or leave it out$', *predict)
    assert not (tmp_path / 'predictions').exists()
