"""The command-line tools, as a user starts them, on small data."""
import csv
import json
import os
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


def train(work_dir, name, options, width):
    """Trains for two iterations; gives config, checkpoint and options as arguments of the tools."""
    config = CONFIGS / f'{name}.py'
    call('train', config, '--work-dir', work_dir, '--cfg-options', *options)
    [checkpoint] = [path for path in work_dir.glob('*.pth') if 'best' not in path.name]
    return [config, checkpoint, '--cfg-options', *SHAPES, width]


@pytest.fixture(scope='session')
def segmenter(tmp_path_factory):
    return train(tmp_path_factory.mktemp('segmenter'), 'cbt-t_shapes', SEGMENT,
                 'model.decode_head.in_channels=16')


@pytest.fixture(scope='session')
def classifier(tmp_path_factory):
    return train(tmp_path_factory.mktemp('classifier'), 'cbt-t_shapes-cls', CLASSIFY,
                 'model.head.in_channels=16')


@pytest.fixture(params=['segmenter', 'classifier'])
def trained(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(2):
        Image.fromarray(render(0, i, 96, 4)[0]).save(folder / f'{i}.png')
    return folder


def test_segmentation_train_test_predict_show(segmenter, run_tool, images):
    validation = [s['mIoU'] for s in scalars(segmenter[1].parent) if 'mIoU' in s]
    run_tool('test', *segmenter, '--work-dir', 'test', '--out', 'out', '--show-dir', 'show')
    assert [metrics('test')['mIoU']] == validation
    assert validation[0] < 25  # next to untrained: near chance
    assert len(list(Path('out').glob('*.png'))) == len(list(Path('show').rglob('*.png'))) == 8
    run_tool('test', *segmenter, 'test_dataloader.batch_size=1', '--tta', '--work-dir', 'tta')
    assert 0 < metrics('tta')['mIoU'] < 25

    Image.new('RGB', (1, 1)).save(images / 'tiny.bmp')
    os.mkfifo(images / 'endless.png')  # reading it would not end
    run_tool('predict', *segmenter[:2], images, *segmenter[2:], '--out-dir', 'predicted')
    names = ['0.png', '1.png', 'tiny.bmp']
    assert sorted(p.name for p in Path('predicted/vis').iterdir()) == names
    label_maps = {p.name: np.asarray(Image.open(p)) for p in Path('predicted/pred').iterdir()}
    assert {name: labels.shape for name, labels in label_maps.items()} == {
        '0.png': (96, 96), '1.png': (96, 96), 'tiny.png': (1, 1)}
    assert max(m.max() for m in label_maps.values()) < 6

    run_tool('show_results', *segmenter, '--out', 'results.png', '--num', 2)
    assert Image.open('results.png').width > 500


@DATASETS.register_module()
class ShapeArrays(ShapesDataset):
    """Pixels instead of paths, as mmpretrain's CIFAR10 gives them."""

    def load_data_list(self):
        return [dict(img=render(0, i, 64, 1)[0], gt_label=0) for i in range(self.num_images)]


def test_classification_train_test_predict_show(classifier, run_tool, images):
    run_tool('test', *classifier, '--work-dir', 'test', '--out', 'out.pkl', '--show-dir', 'show')
    assert 'accuracy/top1' in metrics('test')
    assert len(pickle.loads(Path('out.pkl').read_bytes())) == 8
    assert len(list(Path('show').rglob('*.png'))) == 8
    run_tool('test', *classifier, '--work-dir', 'tta', '--tta')
    assert 'accuracy/top1' in metrics('tta')

    write_bare(classifier[1])
    run_tool('predict', classifier[0], 'bare.pth', images, *classifier[2:], '--topk', 2)
    with open('predictions/classes.csv') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and float(rows[0]['score']) >= float(rows[1]['score'])
    assert {row['class'] for row in rows} <= {'disk', 'square', 'triangle', 'star', 'ring'}

    run_tool('show_results', *classifier, 'test_dataloader.dataset.type=ShapeArrays',
             'test_dataloader.dataset.pipeline.0.type=PILToNumpy', '--num', 2)
    assert Image.open('results.png').width > 500


def write_bare(checkpoint):
    """Writes the weights of a checkpoint alone to bare.pth."""
    state_dict = torch.load(checkpoint, weights_only=True)['state_dict']
    torch.save(dict(state_dict=state_dict), 'bare.pth')


def test_reparameterized_checkpoint_predicts_the_same(trained, run_tool, capsys):
    config, checkpoint, *options = trained
    run_tool('reparameterize', config, checkpoint, 'deploy.pth', '--config-out', 'deploy.py',
             *options)
    assert 'has the deploy form of backbone' in capsys.readouterr().out
    run_tool('test', 'deploy.py', 'deploy.pth', '--work-dir', 'deployed')
    run_tool('test', *trained, '--work-dir', 'plain')
    assert metrics('deployed') == pytest.approx(metrics('plain'), abs=0.1)
    names = torch.load('deploy.pth', weights_only=True)['state_dict']
    assert 'backbone.layers.0.ista.matrix' in names
    assert not any('running_mean' in name for name in names)

    # Each form is refused by a config of the other, which names the remedy.
    with pytest.raises(SystemExit, match='set deploy=True in the config'):
        run_tool('test', config, 'deploy.pth', *options)
    with pytest.raises(SystemExit, match='python -m cbsa_mm reparameterize CONFIG CHECKPOINT OUT'):
        run_tool('test', 'deploy.py', checkpoint)


def test_reparameterize_refuses(segmenter, run_tool):
    config, checkpoint, *options = segmenter
    content = torch.load(checkpoint, weights_only=True)
    for value, message in ((float('nan'), 'NaN, infinite values or integers are in 1 of the'),
                           (3e38, 'differ by a relative nan, so nothing was written')):
        content['state_dict']['backbone.cls_token'].fill_(value)
        torch.save(content, 'broken.pth')
        with pytest.raises(SystemExit, match=message):
            run_tool('reparameterize', config, 'broken.pth', 'out.pth', *options)
    assert not Path('out.pth').exists()


@pytest.mark.slow
def test_get_flops_reproduces_the_published(run_tool):
    run_tool('get_flops', '--json', 'flops.json')
    classifiers, decoders = json.loads(Path('flops.json').read_text()).values()
    for arch, counts in classifiers.items():
        error = abs(counts['counted the published way'] - counts['published'])
        assert error < (0.051e9 if arch == 'large' else 0.05e9)
        assert counts['ours, deploy'] < 0.75 * counts['plain']
    for counts in decoders.values():
        assert abs(counts['counted the published way'] - counts['published']) < 0.05e9
    assert round(classifiers['base']['parameters'] / 1e6, 2) == 25.69


def test_get_flops_of_a_config(run_tool, capsys):
    run_tool('get_flops', CONFIGS / 'cbt-t_shapes.py', '--shape', 64, 96, '--json', 'flops.json')
    [counts] = json.loads(Path('flops.json').read_text()).values()
    assert counts['backbone']['FLOPs'] + counts['rest']['FLOPs'] == counts['all']['FLOPs']
    assert 'at 64 x 96 pixels' in ' '.join(capsys.readouterr().out.split())


def test_imagenet_config_trains_and_validates(run_tool, imagenet):
    options = ['model.head.num_classes=3', 'val_evaluator.topk=(1, )', 'train_cfg.max_epochs=1',
               'default_hooks.logger.interval=1']
    for split in ('train', 'val'):
        options += [f'{split}_dataloader.dataset.type=CustomDataset',
                    f'{split}_dataloader.dataset.data_root={imagenet}',
                    f'{split}_dataloader.num_workers=0', f'{split}_dataloader.batch_size=3']
    run_tool('train', CONFIGS / 'cbt-t_in1k.py', '--auto-scale-lr', '--work-dir', 'work',
             '--cfg-options', *options)
    *losses, validation = scalars('work')
    assert [s['iter'] for s in losses] == [1, 2]
    assert all(0 < s['loss'] < 20 for s in losses)
    assert losses[0]['lr'] == pytest.approx(2e-4 / 20 * 3 / 256)
    assert 'accuracy/top1' in validation


@pytest.mark.parametrize('checkpoint, message', [
    ('none.pth', 'there is no checkpoint none.pth'),
    ('http://127.0.0.1:9/vit.pth', "can't download weights .*Use a local file"),  # nobody listens
])
def test_pretrained_weights_must_be_there(checkpoint, message, run_tool):
    with pytest.raises(SystemExit, match=message):
        run_tool('train', CONFIGS / 'cbt-t_shapes.py', '--cfg-options', *SEGMENT,
                 'model.backbone.init_cfg.type=Pretrained',
                 f'model.backbone.init_cfg.checkpoint={checkpoint}')
    assert not [*Path().rglob('*.pth')]


def test_weights_alone_are_not_resumed(segmenter, run_tool):
    config, checkpoint, *_ = segmenter
    write_bare(checkpoint)
    with pytest.raises(SystemExit, match="bare.pth can't be resumed: it holds no state of a "
                       r'training \(epoch, iter, message_hub, optimizer\). .* as load_from'):
        run_tool('train', config, '--resume', 'bare.pth', '--cfg-options', *SEGMENT)
    assert [*Path().rglob('*.pth')] == [Path('bare.pth')]


def test_training_without_validation(run_tool, capsys):
    run_tool('train', CONFIGS / 'cbt-t_shapes.py', '--work-dir', 'work', '--cfg-options',
             *[o for o in SEGMENT if not o.startswith('val_')], 'val_dataloader=None',
             'val_cfg=None', 'val_evaluator=None', 'default_hooks.checkpoint.save_best=None',
             'default_hooks.logger.interval=1')
    assert [*Path().rglob('*.pth')] == [Path('work/iter_2.pth')]
    # What is long is in the log file alone.
    shown, [log] = capsys.readouterr().out, Path('work').glob('*/*.log')
    for text in ('Iter(train) [1/2]', 'Checkpoints are in'):
        assert text in shown and text in log.read_text()
    for text in ('System environment', 'SeededBatchSampler', 'Hooks will be executed'):
        assert text not in shown and text in log.read_text()


def test_checkpoint_of_another_arch(segmenter, run_tool):
    with pytest.raises(SystemExit, match='does not fit the model: .*another arch: its embed_dims '
                       "is 16, this CBT's 192"):
        run_tool('test', *segmenter[:2])
