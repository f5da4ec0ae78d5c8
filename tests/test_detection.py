"""CBT under an mmdet detector, on a made-up COCO file."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

import cbsa_mm  # noqa: F401
from cbsa_mm.require import MissingLibraryError, require

try:
    require('mmdet.models')
except MissingLibraryError as missing:
    pytest.skip(f"mmdet, the extra 'detection', can't be imported here: {missing}",
                allow_module_level=True)

CONFIG = Path(__file__).parents[1] / 'configs/detection/cbt-s_mask-rcnn_coco.py'
CLASSES = ('square', 'triangle')


@pytest.fixture(scope='session')
def coco(tmp_path_factory):
    """Random images with random polygons, in COCO's layout."""
    root, rng = tmp_path_factory.mktemp('coco'), np.random.default_rng(0)
    (root / 'annotations').mkdir()
    for split in ('train', 'val'):
        (root / f'{split}2017').mkdir()
        images, annotations = [], []
        for i, (height, width) in enumerate([(48, 64), (64, 64), (64, 40), (50, 70)]):
            pixels = rng.integers(256, size=(height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f'{split}2017/{i}.jpg')
            images.append(dict(id=i, file_name=f'{i}.jpg', height=height, width=width))
            for x, y, side in rng.integers((0, 0, 12), (20, 20, 20), size=(3, 3)).tolist():
                category = len(annotations) % 2
                corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
                annotations.append(dict(
                    id=len(annotations) + 1, image_id=i, category_id=category + 1, iscrowd=0,
                    bbox=[x, y, side, side], area=side**2 / (1 + category),
                    segmentation=[np.ravel(corners[:4 - category]).tolist()]))
        categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
        (root / f'annotations/instances_{split}2017.json').write_text(json.dumps(
            dict(images=images, annotations=annotations, categories=categories)))
    return root


@pytest.fixture
def small(coco, tmp_path):
    """The shipped config at 64 pixels, of width 16, on the made-up data."""
    cfg, path = Config.fromfile(CONFIG), tmp_path / 'small.py'
    model = cfg.model
    model.backbone.update(
        arch=dict(embed_dims=16, num_layers=2, num_heads=2), img_size=64, init_cfg=None,
        attn_cfg=dict(type='CBSA', grid_size=2))
    model.neck.update(in_channels=16, out_channels=16)
    model.rpn_head.update(in_channels=16, feat_channels=16)
    for part in ('bbox_roi_extractor', 'mask_roi_extractor'):
        model.roi_head[part].out_channels = 16
    model.roi_head.bbox_head.update(in_channels=16, fc_out_channels=16, num_classes=2)
    model.roi_head.mask_head.update(in_channels=16, conv_out_channels=16, num_classes=2)
    model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 20
    model.test_cfg.rcnn.update(score_thr=0., max_per_img=5)  # untrained models are never sure
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, batch_size=2)
        loader.dataset.update(data_root=str(coco), metainfo=dict(classes=CLASSES))
        for step in loader.dataset.pipeline:
            for key in {'scale', 'crop_size', 'size'} & set(step):
                step[key] = (64, 64)
            if 'ratio_range' in step:
                step.ratio_range = (0.8, 2.0)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.ann_file = str(coco / 'annotations/instances_val2017.json')
    cfg.randomness = dict(seed=0)
    cfg.train_cfg.max_epochs = 1
    cfg.default_hooks.logger.interval = 1
    cfg.dump(path)
    return path


def scalars(work_dir):
    """What a run and those that resumed it logged, in order."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_shipped_config_builds_at_full_size():
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
        sizes = [tuple(level.shape) for level in model.extract_feat(torch.zeros(1, 3, 1024, 1024))]
    assert sizes == [(1, 256, side, side) for side in (256, 128, 64, 32, 16)]
    [listed] = yaml.safe_load((CONFIG.parent / 'metafile-det.yml').read_text())['Models']
    assert listed['Metadata']['Parameters'] == sum(p.numel() for p in model.parameters())


def test_trains_resumes_and_evaluates(small, run_tool, tmp_path):
    run_tool('train', small, '--work-dir', 'whole', '--cfg-options', 'train_cfg.max_epochs=2')
    *_, validation = scalars('whole')
    assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= set(validation)
    losses = [line for line in scalars('whole') if 'loss' in line]
    assert len(losses) == 4
    names = {'loss', 'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask'}
    assert all(names <= set(line) and np.isfinite([line[n] for n in names]).all()
               for line in losses)

    # In two runs it ends where it did in one.
    run_tool('train', small, '--work-dir', 'parts')
    run_tool('train', small, '--work-dir', 'parts', '--resume', '--cfg-options',
             'train_cfg.max_epochs=2')
    assert [line['loss'] for line in scalars('parts') if 'loss' in line] == [
        line['loss'] for line in losses]
    parts, whole = (torch.load(f'{run}/epoch_2.pth', weights_only=True)['state_dict']
                    for run in ('parts', 'whole'))
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)

    run_tool('test', small, 'whole/epoch_2.pth', '--work-dir', 'test', '--show-dir', 'pictures')
    [file] = Path('test').glob('*/[0-9]*.json')
    metrics = json.loads(file.read_text())
    for key in ('coco/bbox_mAP', 'coco/segm_mAP'):
        assert 0 <= metrics[key] == validation[key] < 0.5
    assert len(list(Path('pictures').glob('*.jpg'))) == 4


def test_looks_through_the_data(small, run_tool, coco, tmp_path, capsys):
    shutil.copytree(coco, tmp_path / 'coco')
    (tmp_path / 'coco/train2017/1.jpg').write_text('no image')
    options = ['--cfg-options', 'train_dataloader.dataset.data_root=coco']
    with pytest.raises(SystemExit) as end:
        run_tool('check_data', small, '--workers', 0, *options)
    assert end.value.code == 1
    printed = capsys.readouterr().out
    assert 'most frequent of 2 classes: square 50.00%' in printed
    assert 'image coco/train2017/1.jpg is no image file' in printed


def test_mistakes_end_with_one_message(small, run_tool):
    with pytest.raises(SystemExit, match='train.py: error: CocoDataset has 2 classes, but the '
                       'model predicts 3: set model.roi_head.bbox_head.num_classes=2'):
        run_tool('train', small, '--work-dir', 'work', '--cfg-options',
                 'model.roi_head.bbox_head.num_classes=3')
