"""A user's mistakes in data and configs end the tools at once, with one message."""
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_tools import SEGMENT, SHAPES, ade20k_options, imagenet_options

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


@pytest.fixture
def folders(ade20k, imagenet, tmp_path):
    """Copies of the small data sets, to be spoilt."""
    shutil.copytree(ade20k, tmp_path / 'ade')
    shutil.copytree(imagenet, tmp_path / 'imagenet')
    return tmp_path


def train(config, options):
    name = f'experiment_name={next(numbers)}'  # names of runs are by the second, else
    return ['train', CONFIGS / f'{config}.py', '--work-dir', 'work', '--cfg-options', name,
            *options]


def ade20k_train(root, *options):
    small = ['model.backbone.arch.num_layers=1', 'model.decode_head.num_layers=1']
    return train('cbt-t_ade20k', [*ade20k_options(root), *small, *options])


def imagenet_train(root, *options):
    return train('cbt-t_in1k', [*imagenet_options(root), *options])


def test_unreadable_files(folders, fails):
    workers = 'train_dataloader.num_workers=1'
    for file in (folders / 'imagenet/train').rglob('*.JPEG'):
        file.write_bytes(file.read_bytes()[:700])
    fails(r'image .*/train/n0\d*/\d.JPEG is damaged or cut off .*: replace it, or leave it out. '
          'All such files: python -m cbsa_mm check_data CONFIG',
          *imagenet_train(folders / 'imagenet', workers))
    for file in (folders / 'ade/annotations/training').iterdir():
        file.write_bytes(b'')
    fails(r'label map .*/annotations/training/\d.png is empty: replace it.* All such files: ',
          *ade20k_train(folders / 'ade', workers))


def test_empty_folders(folders, fails):
    for file in [*(folders / 'ade').rglob('*.jpg'), *(folders / 'imagenet').rglob('*.JPEG')]:
        file.unlink()
    message = 'train_dataloader.dataset: it has no images: check its data_root'
    fails(message, *ade20k_train(folders / 'ade'))
    fails('train_dataloader.dataset: Found 0 files in .*/imagenet/train',
          *imagenet_train(folders / 'imagenet'))
    (folders / 'none.txt').touch()
    fails(message, *ade20k_train(
        folders / 'ade', f'train_dataloader.dataset.ann_file={folders}/none.txt'))


@pytest.mark.slow
def test_images_of_all_kinds_train(folders, run_tool):
    [first, second] = (folders / 'ade/images/training').glob('*.jpg')
    Image.open(first).convert('L').save(first)
    Image.open(second).convert('RGBA').save(second, 'PNG')
    for suffix, folder in (('jpg', 'images'), ('png', 'annotations')):
        file = folders / f'ade/{folder}/training/0.{suffix}'
        file.rename(file.with_stem('bäume 東京'))
    run_tool(*ade20k_train(folders / 'ade'))
    assert list((folders / 'work').glob('*/vis_data/scalars.json'))


@pytest.mark.parametrize('config, options, message', [
    # The data's place, and what is in it.
    ('cbt-t_ade20k', [], r'train_dataloader.dataset: there is no data/ade/ADE\w+/images/training. '
     '.*, or say where it is: --cfg-options train_dataloader.dataset.data_root=FOLDER'),
    ('cbt-t_shapes', ['train_dataloader.dataset.task=depth'],
     "train_dataloader.dataset: task must be 'segmentation' or"),
    # Misspelt names.
    ('cbt-t_shapes', ['model.decode_head.type=CBTHead'],
     'CBTHead is not in the mmseg::model registry. Please check'),
    ('cbt-t_shapes', ['trian_cfg.max_iters=3'],
     r'--cfg-options trian_cfg.max_iters: the config has no trian_cfg \(did you mean train_cfg'),
    ('cbt-t_in1k', ['model.backbone.arch.num_heads=2'], '--cfg-options: arch=.*_delete_=True'),
    ('cbt-t_shapes', ['custom_hooks.9.type=A'], '--cfg-options: Index 9 exceeds the length'),
    ('nowhere', [], 'there is no config file'),
    # What is missing.
    ('cbt-t_shapes', ['model=None'], 'cbt-t_shapes.py has no model'),
    ('cbt-t_shapes', ['train_dataloader=None', 'optim_wrapper=None'],
     'cbt-t_shapes.py has no train_dataloader, optim_wrapper'),
    ('cbt-t_shapes', ['optim_wrapper.optimizer=None'], 'optim_wrapper: '),
    # What is used after the training only.
    ('cbt-t_shapes', ['val_evaluator.iou_metrics=mIuO'],
     "validation would fail: KeyError: .*mIuO.* is not supported.*Check val_evaluator"),
    ('cbt-t_shapes', ['default_hooks.checkpoint.save_best=mIoUs'],
     r"the checkpoint hook's save_best='mIoUs' is not measured \(did you mean mIoU\?\), only aAcc"),
    ('cbt-t_shapes', ['val_dataloader.dataset.pipeline.1.type=Resize',
                      'val_dataloader.dataset.pipeline.1.scale=(64, 64)'],
     'validation would fail: KeyError: .*gt_sem_seg'),
    # Sizes that don't go together.
    ('cbt-t_shapes', ['model.backbone.arch.num_heads=5'],
     'cbt-t_shapes.py: num_heads=5 does not divide embed_dims=16; choose another number of heads'),
    ('cbt-t_shapes', ['model.backbone.in_channels=4'], 'CBT with in_channels=4 takes images'),
    ('cbt-t_shapes', ['model.decode_head.grid_ofset=1'], "unexpected keyword .*'grid_ofset'"),
    ('cbt-t_shapes', ['default_hooks.checkpoint.intervall=3'],
     'the checkpoint hook has no argument intervall'),
    ('cbt-t_shapes', ['param_scheduler.0.poewr=3'], "param_scheduler: .*'poewr'"),
    ('cbt-t_shapes', ['model.decode_head.in_channels=8'],
     'CBTMaskTransformerHead with in_channels=8 takes features of shape'),
    # Numbers of classes.
    ('cbt-t_shapes', ['model.decode_head.num_classes=4'],
     'ShapesDataset has 6 classes, but the model predicts 4: set model.decode_head.num_classes=6'),
    ('cbt-t_shapes-cls', ['model.head.num_classes=4'], 'set model.head.num_classes=5'),
    ('cbt-t_shapes-cls', ['val_evaluator.topk=(1, 9)'], 'there is no top-9 accuracy of 5 classes'),
    ('cbt-t_shapes', ['load_from=nowhere.pth'], 'there is no checkpoint nowhere.pth'),
])
def test_config_mistakes(config, options, message, fails):
    small = {'cbt-t_shapes': SEGMENT, 'cbt-t_shapes-cls': CLASSIFY}.get(config, [])
    fails(message, *train(config, [*small, *options]))


def test_lists_and_folders_of_classes(ade20k, imagenet, fails):
    fails(r'train_dataloader.dataset: The number of subfolders \(3\) doesn.t match the number of '
          r'specified classes \(1000\)',
          *imagenet_train(imagenet, 'train_dataloader.dataset.type=ImageNet'))
    fails('train_dataloader.dataset: Failed to load `ann_file` .*nowhere.txt',
          *ade20k_train(ade20k, 'train_dataloader.dataset.ann_file=nowhere.txt'))


@pytest.mark.parametrize('text, message', [
    ('model = dict(', "config bad.py: '\\(' was never closed"),
    ("_base_ = 'nowhere.py'", 'config bad.py: .*No such file or directory: .*nowhere.py'),
    ('model = nowhere', "config bad.py: name 'nowhere' is not defined"),
])
def test_unreadable_config(text, message, fails, tmp_path):
    (tmp_path / 'bad.py').write_text(text)
    fails(message, 'train', 'bad.py')


def test_checkpoint_of_another_config(fails, run_tool, tmp_path):
    torch.save(dict(state_dict={'head.fc.weight': torch.zeros(2, 2)}), tmp_path / 'other.pth')
    message = 'other.pth does not fit the model: .*Use the config that it was trained with'
    fails(message, *train('cbt-t_shapes', [*SEGMENT, 'load_from=other.pth']))
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / 'image.png')
    fails(message, 'predict', CONFIGS / 'cbt-t_shapes-cls.py', 'other.pth', 'image.png',
          '--cfg-options', *CLASSIFY)


def test_predict_names_all_faulty_images(fails, tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    (folder / 'text.png').write_text('text')
    (folder / 'empty.jpg').touch()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / 'fine.png')
    for config in ('cbt-t_shapes', 'cbt-t_shapes-cls'):
        fails('image images/empty.jpg is empty: .*; image images/text.png is no image file: '
              'replace it, or leave it out$', 'predict', CONFIGS / f'{config}.py', 'none', 'images')
    assert not (tmp_path / 'predictions').exists()
