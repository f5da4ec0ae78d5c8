"""The command-line tools, as a user starts them, on small data."""
import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS
from PIL import Image
from tool_process import ROOT, call

from cbsa_mm.datasets import ShapesDataset
from cbsa_mm.datasets.shapes import render

CONFIGS = ROOT / 'configs/cbt'
TOOLS = sorted(path.stem for path in ROOT.glob('tools/**/*.py'))

SHAPES = [
    'model.backbone.arch.embed_dims=16', 'model.backbone.arch.num_layers=2',
    'model.backbone.arch.num_heads=2', 'val_dataloader.dataset.num_images=8',
    'test_dataloader.dataset.num_images=8', 'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0'
]
SEGMENT = SHAPES + [
    'model.decode_head.in_channels=16', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
    'default_hooks.checkpoint.interval=2', 'train_dataloader.dataset.num_images=50'
]
CLASSIFY = SHAPES + [
    'model.head.in_channels=16', 'train_cfg.max_epochs=1', 'train_dataloader.dataset.num_images=16'
]


def scalars(work_dir):
    """What the run logged last."""
    [*_, last] = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for line in last.read_text().splitlines()]


def metrics(work_dir):
    """The metrics that tools/test.py wrote, apart from its times."""
    [file] = Path(work_dir).glob('*/[0-9]*.json')
    return {name: value for name, value in json.loads(file.read_text()).items()
            if 'time' not in name}


def checkpoints(work_dir):
    return sorted(p.name for p in Path(work_dir).rglob('*.pth*'))


@pytest.fixture(scope='session')
def segmenter(tmp_path_factory):
    """A work dir of two iterations of cbt-t_shapes."""
    work_dir = tmp_path_factory.mktemp('segmenter')
    call('train', CONFIGS / 'cbt-t_shapes.py', '--work-dir', work_dir, '--cfg-options', *SEGMENT)
    return work_dir


@pytest.fixture(scope='session')
def classifier(tmp_path_factory):
    """A work dir of one epoch of cbt-t_shapes-cls."""
    work_dir = tmp_path_factory.mktemp('classifier')
    call('train', CONFIGS / 'cbt-t_shapes-cls.py', '--work-dir', work_dir, '--cfg-options',
         *CLASSIFY)
    return work_dir


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(2):
        Image.fromarray(render(0, i, 96, 4)[0]).save(folder / f'{i}.png')
    return folder


def test_segmentation_train_test_predict_show(segmenter, run_tool, images, tmp_path):
    config, checkpoint = CONFIGS / 'cbt-t_shapes.py', segmenter / 'iter_2.pth'
    validation = [s['mIoU'] for s in scalars(segmenter) if 'mIoU' in s]
    run_tool('test', config, checkpoint, '--work-dir', 'test', '--out', 'out', '--show-dir',
             'show', '--cfg-options', *SHAPES, 'model.decode_head.in_channels=16')
    assert [metrics('test')['mIoU']] == validation
    assert validation[0] < 25  # next to untrained: near chance
    assert len(list((tmp_path / 'out').glob('*.png'))) == 8
    assert len(list((tmp_path / 'show').rglob('*.png'))) == 8

    options = ['--cfg-options', *SHAPES, 'model.decode_head.in_channels=16']
    run_tool('predict', images, config, checkpoint, '--out-dir', 'predicted', *options)
    assert sorted(p.name for p in (tmp_path / 'predicted/vis').iterdir()) == ['0.png', '1.png']
    label_maps = [np.asarray(Image.open(p)) for p in (tmp_path / 'predicted/pred').iterdir()]
    assert [m.shape for m in label_maps] == [(96, 96)] * 2
    assert max(m.max() for m in label_maps) < 6

    run_tool('show_results', config, checkpoint, '--out', 'results.png', '--num', 2, *options)
    assert Image.open(tmp_path / 'results.png').width > 500


def test_segmentation_with_test_time_augmentation(segmenter, run_tool):
    run_tool('test', CONFIGS / 'cbt-t_shapes.py', segmenter / 'iter_2.pth', '--tta', '--work-dir',
             'test', '--cfg-options', *SHAPES, 'model.decode_head.in_channels=16',
             'test_dataloader.batch_size=1')
    assert 0 < metrics('test')['mIoU'] < 25


def test_classification_train_test_predict_show(classifier, run_tool, images, tmp_path):
    config, checkpoint = CONFIGS / 'cbt-t_shapes-cls.py', classifier / 'epoch_1.pth'
    options = ['--cfg-options', *SHAPES, 'model.head.in_channels=16']
    run_tool('test', config, checkpoint, '--work-dir', 'test', '--out', 'out.pkl', '--show-dir',
             'show', *options)
    assert 'accuracy/top1' in metrics('test')
    assert len(pickle.loads((tmp_path / 'out.pkl').read_bytes())) == 8
    assert len(list((tmp_path / 'show').rglob('*.png'))) == 8
    run_tool('test', config, checkpoint, '--work-dir', 'tta', '--tta', *options)
    assert 'accuracy/top1' in metrics('tta')

    run_tool('predict', images, config, checkpoint, '--topk', 2, *options)
    with open(tmp_path / 'predictions/classes.csv') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and float(rows[0]['score']) >= float(rows[1]['score'])
    assert {row['class'] for row in rows} <= {'disk', 'square', 'triangle', 'star', 'ring'}

    run_tool('show_results', config, checkpoint, '--num', 4, *options)
    assert Image.open(tmp_path / 'results.png').width > 500


@DATASETS.register_module()
class ShapeArrays(ShapesDataset):
    """Pixels instead of paths, as mmpretrain's CIFAR10 gives them."""

    def load_data_list(self):
        return [dict(img=render(0, i, 64, 1)[0], gt_label=0) for i in range(self.num_images)]


def test_shows_results_on_a_data_set_of_arrays(classifier, run_tool, tmp_path):
    run_tool('show_results', CONFIGS / 'cbt-t_shapes-cls.py', classifier / 'epoch_1.pth', '--num',
             2, '--cfg-options', *SHAPES, 'model.head.in_channels=16',
             'test_dataloader.dataset.type=ShapeArrays',
             'test_dataloader.dataset.pipeline.0.type=PILToNumpy')
    assert Image.open(tmp_path / 'results.png').width > 500


@pytest.mark.parametrize('kind', ['segmenter', 'classifier'])
def test_reparameterized_checkpoint_predicts_the_same(kind, request, run_tool, tmp_path, capsys):
    work_dir = request.getfixturevalue(kind)
    name, checkpoint, options = {
        'segmenter': ('cbt-t_shapes', 'iter_2.pth', ['model.decode_head.in_channels=16']),
        'classifier': ('cbt-t_shapes-cls', 'epoch_1.pth', ['model.head.in_channels=16']),
    }[kind]
    options = ['--cfg-options', *SHAPES, *options]
    config = CONFIGS / f'{name}.py'
    run_tool('reparameterize', config, work_dir / checkpoint, 'deploy.pth', '--config-out',
             'deploy.py', *options)
    assert 'holds the deploy form of backbone' in capsys.readouterr().out
    run_tool('test', 'deploy.py', 'deploy.pth', '--work-dir', 'deployed')
    run_tool('test', config, work_dir / checkpoint, '--work-dir', 'plain', *options)
    assert metrics('deployed') == pytest.approx(metrics('plain'), abs=0.1)
    names = torch.load('deploy.pth', weights_only=True)['state_dict']
    assert 'backbone.layers.0.ista.matrix' in names
    assert not any('running_mean' in name for name in names)

    # Each form is refused by a config of the other, which names the remedy.
    with pytest.raises(SystemExit, match='set deploy=True in the config'):
        run_tool('test', config, 'deploy.pth', '--work-dir', 'refused', *options)
    with pytest.raises(SystemExit, match='python -m cbsa_mm reparameterize CONFIG CHECKPOINT OUT'):
        run_tool('test', 'deploy.py', work_dir / checkpoint, '--work-dir', 'refused')


def test_reparameterize_refuses(segmenter, run_tool, tmp_path):
    config, options = CONFIGS / 'cbt-t_shapes.py', ['--cfg-options', *SHAPES]
    with pytest.raises(SystemExit, match='are the same file'):
        run_tool('reparameterize', config, segmenter / 'iter_2.pth', segmenter / 'iter_2.pth')
    with pytest.raises(SystemExit, match='does not fit the model'):
        run_tool('reparameterize', config, segmenter / 'iter_2.pth', 'out.pth')
    checkpoint = torch.load(segmenter / 'iter_2.pth', weights_only=True)
    for value, message in ((float('nan'), 'NaN, infinite values or integers are in 1 of the'),
                           (3e38, 'differ by a relative nan, so nothing was written')):
        checkpoint['state_dict']['backbone.cls_token'].fill_(value)
        torch.save(checkpoint, 'broken.pth')
        with pytest.raises(SystemExit, match=message):
            run_tool('reparameterize', config, 'broken.pth', 'out.pth', *options,
                     'model.decode_head.in_channels=16')
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.slow
def test_get_flops_reproduces_the_published(run_tool):
    run_tool('get_flops', '--json', 'flops.json')
    classifiers, decoders = json.loads(Path('flops.json').read_text()).values()
    for arch, counts in classifiers.items():
        error = abs(counts['counted the published way'] - counts['published'])
        assert error < (0.051e9 if arch == 'large' else 0.05e9)
        assert counts['ours, deploy'] < 0.75 * counts['plain']
    for arch, counts in decoders.items():
        assert abs(counts['counted the published way'] - counts['published']) < 0.05e9
        # The wide ones broadcast as the plain form does, whose pooling is not counted.
        slack = {'tiny': 0.91, 'small': 0.97}.get(arch, 1.01)
        assert counts['ours, deploy'] < slack * counts['plain']
    assert round(classifiers['base']['parameters'] / 1e6, 2) == 25.69


def test_get_flops_of_a_config(run_tool, capsys):
    run_tool('get_flops', CONFIGS / 'cbt-t_shapes.py', '--shape', 64, 96, '--json', 'flops.json')
    [counts] = json.loads(Path('flops.json').read_text()).values()
    assert counts['backbone']['FLOPs'] + counts['rest']['FLOPs'] == counts['all']['FLOPs']
    assert 'at 64 x 96 pixels' in ' '.join(capsys.readouterr().out.split())
    run_tool('get_flops', ROOT / 'configs/depict/depict-ca-t_ade20k.py')
    assert 'at 512 x 512 pixels' in ' '.join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        run_tool('get_flops', CONFIGS / 'cbt-t_shapes.py', '--shape', 64, 96, 128)
    assert '--shape takes height and width' in capsys.readouterr().err


def ade20k_options(root):
    """Two iterations and a validation of an ADE20K config at 64 pixels."""
    options = [f'{split}_dataloader.dataset.data_root={root}' for split in ('train', 'val')]
    return options + [
        'train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.num_workers=0',
        'val_dataloader.num_workers=0', 'model.backbone.init_cfg=None',
        'model.backbone.img_size=(64,64)', 'model.data_preprocessor.size=(64,64)',
        'model.decode_head.attn_cfg.type=CBSA', 'model.decode_head.attn_cfg.grid_size=4',
        'model.test_cfg.crop_size=(64,64)', 'model.test_cfg.stride=(48,48)',
        'train_dataloader.dataset.pipeline.3.scale=(256,64)',
        'train_dataloader.dataset.pipeline.4.crop_size=(64,64)',
        'val_dataloader.dataset.pipeline.1.scale=(256,64)',
        'default_hooks.checkpoint.save_last=False', 'default_hooks.checkpoint.save_best=None'
    ]


def imagenet_options(root):
    """Two iterations and a validation of an ImageNet config on three classes."""
    options = ['model.head.num_classes=3', 'val_evaluator.topk=(1, )']
    for split in ('train', 'val'):
        options += [f'{split}_dataloader.dataset.type=CustomDataset',
                    f'{split}_dataloader.dataset.data_root={root}',
                    f'{split}_dataloader.num_workers=0', f'{split}_dataloader.batch_size=3']
    return options + [
        'train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=-1',
        'default_hooks.checkpoint.save_last=False', 'default_hooks.checkpoint.save_best=None'
    ]


def test_ade20k_config_trains_and_validates(run_tool, ade20k):
    run_tool('train', CONFIGS / 'cbt-t_ade20k.py', '--work-dir', 'work', '--cfg-options',
             *ade20k_options(ade20k), 'default_hooks.logger.interval=1')
    *losses, validation = scalars('work')
    assert [s['iter'] for s in losses] == [1, 2]
    assert all(0 < s['loss'] < 20 for s in losses)
    assert validation['mIoU'] < 20


def test_imagenet_config_trains_and_validates(run_tool, imagenet):
    run_tool('train', CONFIGS / 'cbt-t_in1k.py', '--auto-scale-lr', '--work-dir', 'work',
             '--cfg-options', *imagenet_options(imagenet), 'default_hooks.logger.interval=1')
    *losses, validation = scalars('work')
    assert [s['iter'] for s in losses] == [1, 2]
    assert all(0 < s['loss'] < 20 for s in losses)
    assert losses[0]['lr'] == pytest.approx(2e-4 / 20 * 3 / 256)
    assert 'accuracy/top1' in validation


def test_missing_pretrained_weights(run_tool, ade20k):
    options = ade20k_options(ade20k)
    options.remove('model.backbone.init_cfg=None')
    with pytest.raises(SystemExit, match='there is no checkpoint vit.pth'):
        run_tool('train', CONFIGS / 'cbt-t_ade20k.py', '--cfg-options', *options,
                 'model.backbone.init_cfg.checkpoint=vit.pth')
    url = 'http://127.0.0.1:9/vit.pth'  # nothing listens there
    with pytest.raises(SystemExit, match="can't download weights .*Use a local file"):
        run_tool('train', CONFIGS / 'cbt-t_ade20k.py', '--cfg-options', *options,
                 f'model.backbone.init_cfg.checkpoint={url}')


def test_pretrained_weights_must_fit_the_backbone(run_tool, ade20k, tmp_path):
    options = ade20k_options(ade20k)
    options.remove('model.backbone.init_cfg=None')
    torch.save({'blocks.0.norm1.weight': torch.zeros(192)}, tmp_path / 'vit.pth')  # timm's names
    with pytest.raises(SystemExit, match='vit.pth do not fit the backbone: 149 of its 150 tensors'):
        run_tool('train', CONFIGS / 'cbt-t_ade20k.py', '--cfg-options', *options,
                 'model.backbone.init_cfg.checkpoint=vit.pth')
    assert checkpoints(tmp_path) == ['vit.pth']


def test_weights_alone_are_not_resumed(segmenter, run_tool, tmp_path):
    state_dict = torch.load(segmenter / 'iter_2.pth', weights_only=True)['state_dict']
    torch.save(dict(state_dict=state_dict), 'bare.pth')
    with pytest.raises(SystemExit, match="bare.pth can't be resumed: it holds no state of a "
                       r'training \(epoch, iter, message_hub\). .* give it as load_from'):
        run_tool('train', CONFIGS / 'cbt-t_shapes.py', '--resume', 'bare.pth', '--work-dir',
                 'work', '--cfg-options', *SEGMENT)
    assert checkpoints(tmp_path) == ['bare.pth']


def test_training_without_validation(run_tool, tmp_path):
    run_tool('train', CONFIGS / 'cbt-t_shapes.py', '--work-dir', 'work', '--cfg-options',
             *[o for o in SEGMENT if not o.startswith('val_')], 'val_dataloader=None',
             'val_cfg=None', 'val_evaluator=None', 'default_hooks.checkpoint.save_best=None')
    assert checkpoints(tmp_path) == ['iter_2.pth']


def test_checkpoint_of_another_arch(segmenter, classifier, run_tool):
    with pytest.raises(SystemExit, match='does not fit the model: .*another arch: its embed_dims '
                       "is 16, this CBT's 192"):
        run_tool('test', CONFIGS / 'cbt-t_shapes.py', segmenter / 'iter_2.pth')
    with pytest.raises(SystemExit, match='does not fit the model: .*Unexpected key'):
        run_tool('test', CONFIGS / 'cbt-t_shapes-cls.py', classifier / 'epoch_1.pth',
                 '--cfg-options', *SHAPES, 'model.head.in_channels=16',
                 'model.backbone.arch.num_layers=1')
    with pytest.raises(SystemExit, match='there is no checkpoint nowhere.pth'):
        run_tool('test', CONFIGS / 'cbt-t_shapes.py', 'nowhere.pth')


@pytest.mark.parametrize('task', ['segmenter', 'classifier'])
def test_predicts_from_bare_weights(task, request, run_tool, images, tmp_path):
    work_dir = request.getfixturevalue(task)
    [trained] = [p for p in work_dir.glob('*.pth') if 'best' not in p.name]
    state_dict = torch.load(trained, weights_only=False)['state_dict']
    torch.save(dict(state_dict=state_dict), tmp_path / 'bare.pth')
    config, width = dict(
        segmenter=('cbt-t_shapes', 'model.decode_head.in_channels=16'),
        classifier=('cbt-t_shapes-cls', 'model.head.in_channels=16'))[task]
    run_tool('predict', images, CONFIGS / f'{config}.py', 'bare.pth', '--cfg-options', *SHAPES,
             width)
    assert list((tmp_path / 'predictions').rglob('*.png' if task == 'segmenter' else '*.csv'))


def test_predicting_nothing(segmenter, run_tool, tmp_path):
    with pytest.raises(SystemExit, match='neither an image nor a folder with images'):
        run_tool('predict', tmp_path, CONFIGS / 'cbt-t_shapes.py', segmenter / 'iter_2.pth')


@pytest.mark.parametrize('tool', TOOLS)
def test_help(tool, run_tool, capsys):
    with pytest.raises(SystemExit) as end:
        run_tool(tool, '--help')
    assert end.value.code == 0
    assert f'usage: {tool}.py' in capsys.readouterr().out
