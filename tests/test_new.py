"""new.py writes a config for one's own data that trains, tests and predicts as it is."""
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from pages import ROOT, commands
from PIL import Image

from cbsa_mm.engine.checks import check_pixels, check_width
from cbsa_mm.inference import build_model

SMALL = ['--cfg-options', 'model.backbone.arch.embed_dims=16', 'model.backbone.arch.num_layers=1',
         'model.backbone.arch.num_heads=2', 'train_dataloader.num_workers=0',
         'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0']


def write(path, pixels, **options):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


@pytest.fixture
def new(run_tool, capsys):
    """Runs the tool: its exit code or message, and what it printed."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            run_tool('new', *arguments)
        return end.value.code, capsys.readouterr().out

    return run


@pytest.fixture
def masked():
    """Pairs an image with a mask of 0, 1, 2 and 255, as ``masked(name)``, below data."""
    rng = np.random.default_rng(0)

    def add(name, tail='', values=(0, 1, 2, 255)):
        write(f'data/images/{name}.jpg', rng.integers(256, size=(70, 90, 3)))
        write(f'data/masks/{name}{tail}.png', rng.choice(values, size=(70, 90)))

    return add


@pytest.fixture
def birds():
    """Six images in each of three folders of classes, below data."""
    for name in ('finch', 'snow owl', 'wren'):
        for i in range(6):
            write(f'data/{name}/{i}.png', np.full((40, 50, 3), 40 * i))


SEGMENT = ['--images', 'data/images', '--masks', 'data/masks']


def test_segmentation(new, masked, run_tool):
    for i in range(10):
        masked(f'{i}')
    Path('names.txt').write_text('rest\nlake\nfield\nnever seen\n')
    code, printed = new('my lakes/lakes', *SEGMENT, '--classes', 'names.txt', '--from',
                        'cbt-t_camvid', '--crop', 64, '--epochs', 1)
    assert code == 0
    assert 'no faults in train and val' in printed
    assert 'never: never seen' in printed
    lists = [Path(f'my lakes/lakes/{split}.txt').read_text().split() for split in ('train', 'val')]
    assert list(map(len, lists)) == [8, 2]
    assert sorted(sum(lists, [])) == list('0123456789')

    cfg = Config.fromfile('my lakes/lakes/lakes.py')
    assert cfg.model.decode_head.num_classes == len(cfg.palette) == 4
    assert cfg.model.backbone.img_size == cfg.model.data_preprocessor.size == (64, 64)
    assert cfg.model.decode_head.attn_cfg == dict(grid_size=8)  # as many as tokens, not ten
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1]['end'] == 20
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval == 2

    words = [shlex.split(command)[3:] for command in printed.splitlines() if 'python -m' in command]
    assert [tool for tool, *_ in words] == ['check_data', 'train', 'train', 'test', 'test',
                                            'predict', 'export']
    options = [*SMALL, 'model.decode_head.in_channels=16']
    for tool, *arguments in [words[1], words[5]]:  # all: test_tutorial
        arguments = ['data/images' if word == 'IMAGES' else word for word in arguments]
        run_tool(tool, *arguments, *options)
    assert len([*Path('predictions/vis').iterdir()]) == 10


@pytest.mark.parametrize('arguments, name, crop, width', [
    (['--from', 'dinov2-s_frozen_ade20k'], 'vit_small_patch14_reg4_dinov2.lvd142m', 56, 384),
    (['--encoder', 'test_vit.r160_in1k'], 'test_vit.r160_in1k', 64, 64),
])
def test_segmentation_on_an_encoder_of_timm(arguments, name, crop, width, new, masked):
    pytest.importorskip('timm')
    for i in range(4):
        masked(f'{i}')
    code, _ = new('lakes', *SEGMENT, *arguments)
    assert code == 0
    model = Config.fromfile('lakes/lakes.py').model
    assert model.backbone.model_name == name and model.backbone.frozen
    assert model.backbone.img_size == (crop, crop)
    assert model.decode_head.in_channels == width
    assert model.data_preprocessor.mean[0] == (127.5 if 'test' in name else 123.675)
    built = build_model(Config.fromfile('lakes/lakes.py'))
    check_width(built), check_pixels(built)


def test_encoders_that_fit_nothing(new, masked):
    pytest.importorskip('timm')
    masked('0'), masked('1')
    message, _ = new('lakes', *SEGMENT, '--encoder', 'test_vitt')
    assert 'did you mean test_vit' in message
    message, _ = new('lakes', *SEGMENT, '--encoder', 'test_vit', '--from', 'cbt-t_camvid')
    assert '--encoder needs a config with an encoder of timm' in message



def test_classification(new, birds, run_tool):
    code, printed = new('birds', '--images', 'data', '--epochs', 1)
    assert code == 0
    cfg = Config.fromfile('birds/birds.py')
    assert cfg.classes == ('finch', 'snow owl', 'wren')
    val = Path('birds/val.txt').read_text().splitlines()
    assert sorted(line.split('/')[0] for line in val) == ['finch', 'snow owl', 'wren']
    assert {line.rsplit(' ', 1)[1] for line in val if 'snow' in line} == {'1'}
    run_tool('train', 'birds/birds.py', *SMALL, 'model.head.in_channels=16')
    run_tool('test', 'birds/birds.py', 'work_dirs/birds/epoch_1.pth', '--tta', *SMALL,
             'model.head.in_channels=16')


def test_subfolders_are_the_split(new, masked):
    for name in ('train/a/0', 'train/b/0', 'Val/a/1'):
        masked(name, tail='_mask')
    assert new('lakes', *SEGMENT, '--from', 'cbt-s_ade20k', '--crop', 64)[0] == 0
    assert Path('lakes/train.txt').read_text() == 'train/a/0\ntrain/b/0\n'
    assert Path('lakes/val.txt').read_text() == 'Val/a/1\n'
    cfg = Config.fromfile('lakes/lakes.py')
    assert cfg.train_dataloader.dataset.seg_map_suffix == '_mask.png'
    assert cfg.classes == ('class 0', 'class 1', 'class 2')
    assert cfg.model.test_cfg == dict(mode='slide', crop_size=(64, 64), stride=(32, 32))


def test_faults_in_the_data_are_told(new, masked):
    for i in range(5):
        masked(f'{i}')
    write('data/masks/3.png', np.ones((9, 9)))
    code, printed = new('lakes', *SEGMENT)
    assert code == 1
    assert 'masks/3.png has shape (9, 9), its image' in ' '.join(printed.split())
    assert 'Mend these faults first' in printed


@pytest.mark.parametrize('spoil, arguments, message', [
    (None, ['--from', 'cbt-s_ade'], r'no shipped config cbt-s_ade \(did you mean'),
    (None, ['--from', 'cbt-s_in1k'], 'is a config of mmpretrain: with --masks, it must be one of'),
    (None, ['--classes', 'two.txt'], 'the values 0, 1, 2, 255, but --classes has 2 names'),
    (lambda masked: Path('data/masks/1.png').unlink(), [], '1 images have no mask .* 1. Add it'),
    (lambda masked: write('data/masks/1.png', np.zeros((70, 90, 3))), [],
     'mask data/masks/1.png is a picture in colour'),
    (lambda masked: [masked(f'{i}', values=(0, 255)) for i in range(3)], [],
     'the values 0, 255, so there are no two classes'),
    (lambda masked: Path('lakes').mkdir(), [], 'lakes is there already, and nothing is over'),
])
def test_refuses_segmentation(spoil, arguments, message, new, masked):
    for i in range(3):
        masked(f'{i}')
    Path('two.txt').write_text('a\nb\n')
    if spoil:
        spoil(masked)
    told, _ = new('lakes', *SEGMENT, *arguments)
    assert re.match(f'new.py: error: .*{message}', told), told
    assert not [*Path('.').glob('**/lakes.py'), *Path('.').glob('.*')]


def test_refuses_classification(new, birds):
    told, _ = new('birds', '--images', 'data/wren')
    assert re.match('new.py: error: .*0.png lies in no folder of a class: .* or, with --ma', told)
    write('data/val/kiwi/0.png', np.zeros((9, 9, 3)))
    write('data/train/wren/0.png', np.zeros((9, 9, 3)))
    told, _ = new('birds', '--images', 'data')
    assert 'there is nothing to train kiwi on, only to validate' in told


@pytest.mark.slow
def test_tutorial(new, masked, birds, run_tool):
    for i in range(4):
        masked(f'{i}')
    for folder in ('finch', 'snow owl', 'wren'):
        Path(f'data/birds/{folder}').parent.mkdir(exist_ok=True)
        Path(f'data/{folder}').rename(f'data/birds/{folder}')
    Path('names.txt').write_text('background\nskin\nclothes\n')
    for command in commands(ROOT / 'docs/tutorial.md'):
        command = command.replace('iter_2000', 'iter_20').replace('epoch_100', 'epoch_1')
        tool, *arguments = command.replace('IMAGES', 'data/images').split()[3:]
        if tool == 'new':
            assert new(*arguments, '--epochs', 1)[0] == 0
        else:
            head = 'head' if 'birds' in command else 'decode_head'
            run_tool(tool, *arguments, *SMALL, f'model.{head}.in_channels=16')
    assert Path('clothes.onnx').exists()
