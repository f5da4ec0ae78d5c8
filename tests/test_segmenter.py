"""The whole segmenter of the shipped configs against the released code's."""
from pathlib import Path

import pytest
import released
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import cbsa_mm  # noqa: F401
from cbsa_mm.checkpoints import CBT_SEGMENTER

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / 'data/ade/ADEChallengeData2016/images/validation/ADE_val_00000001.jpg'


def resize(cfg, img_size, **arch):
    cfg.model.backbone.update(arch=arch, img_size=(img_size, img_size), init_cfg=None)
    cfg.model.decode_head.in_channels = arch['embed_dims']
    init_default_scope('mmseg')
    return cfg


def load(model, weights):
    """Fills a model with the released segmenter's weights."""
    names = {name: CBT_SEGMENTER.rename(name, 'released') for name in weights}
    model.load_state_dict({ours: weights[name] for name, ours in names.items() if ours})


@pytest.fixture
def cfg():
    """The shipped config at the golden files' sizes."""
    cfg = Config.fromfile(ROOT / 'configs/cbt/cbt-t_ade20k.py')
    cfg.merge_from_dict({
        'model.test_cfg': dict(crop_size=(256, 256), stride=(224, 224)),
        'test_pipeline.1.scale': (1024, 256),
    })
    return resize(cfg, 256, embed_dims=32, num_layers=2, num_heads=2)


@pytest.fixture
def model(cfg):
    model = MODELS.build(cfg.model).to(released.device()).eval()
    load(model, released.pick(released.read('cbt_segmenter'), 'weight.'))
    return model


@pytest.mark.released
@torch.no_grad()
def test_parity_with_the_released_segmenter(model):
    golden = released.read('cbt_segmenter')
    [features] = model.extract_feat(golden['input.image'])
    patches = features.flatten(2).transpose(1, 2)
    error = released.relative_error(patches, golden['output.encoder_tokens'][:, 1:])
    released.agree('segmenter, encoder tokens', error, 1e-5)
    meta = dict(img_shape=(256, 256))
    logits = model.encode_decode(golden['input.image'], [meta])
    error = released.relative_error(logits[..., ::8, ::8], golden['output.logits'])
    released.agree('segmenter, logits', error, 1e-5)


@pytest.mark.released
def test_training_steps_of_the_released_segmenter():
    if released.device().type != 'cpu' or released.autocast_dtype:
        pytest.skip('the random numbers of its paths dropped, and its precision, are a CPU\'s')
    golden = released.read('segmenter_training')
    cfg = resize(Config.fromfile(ROOT / 'configs/cbt/cbt-t_ade20k.py'), 160,
                 embed_dims=48, num_layers=3, num_heads=3)
    cfg.model.backbone.drop_path_rate = 0.5
    cfg.model.data_preprocessor.update(size=(160, 160), bgr_to_rgb=False)
    model = MODELS.build(cfg.model).train()
    start, end = (released.pick(golden, prefix) for prefix in ('weight.', 'output.weight.'))
    load(model, start)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    steps = len(golden['output.losses'])
    scheduler = PARAM_SCHEDULERS.build(cfg.param_scheduler | dict(optimizer=wrapper, end=steps + 1))
    losses = []
    for step, (images, labels) in enumerate(zip(golden['input.images'], golden['input.labels'])):
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None].long())) for label in labels]
        torch.manual_seed(1000 + step)
        losses.append(model.train_step(dict(inputs=[*images], data_samples=samples), wrapper))
        scheduler.step()
    losses = torch.tensor([loss['decode.loss_ce'].item() for loss in losses]).double()
    errors = (losses / golden['output.losses'] - 1).abs()
    released.agree('segmenter, losses of 8 steps, the worst', errors.max().item(), 1e-5)
    trained = {CBT_SEGMENTER.rename(k, 'ours'): v for k, v in model.state_dict().items()}
    moved = sum((end[k] - start[k]).square().sum() for k in trained).sqrt()
    apart = sum((end[k] - v).square().sum() for k, v in trained.items()).sqrt()
    released.agree('segmenter, weights after 8 steps, by how far they moved',
                   (apart / moved).item(), 1e-4)


@pytest.fixture
def golden_labels():
    """What the released code makes of an image of ADE20K."""
    if not IMAGE.exists():
        pytest.skip(f'ADE20K may not be shipped: {IMAGE.relative_to(ROOT)} is not there')
    return released.read('cbt_segmenter_ade1')


def agree_on_labels(golden, scale, model, pipeline):
    """Tests an image; labels are compared where the two best classes are apart."""
    data = pseudo_collate([Compose(pipeline)(dict(img_path=str(IMAGE)))])
    [sample] = model.test_step(data)
    clear = golden[f'margin.{scale}'] > 1e-3
    share = clear.float().mean()
    assert share > 0.5
    differ = sample.pred_sem_seg.data[0] != golden[f'labels.{scale}']
    released.agree(f'segmenter, {scale} labels that differ where the margin is above 1e-3 '
                   f'({share:.1%} of the pixels)', differ[clear].float().mean().item(), 0)


@pytest.mark.released
@torch.no_grad()
def test_label_map_of_an_ade20k_image(cfg, model, golden_labels):
    agree_on_labels(golden_labels, 'single_scale', model,
                    [step for step in cfg.test_pipeline if step.type != 'LoadAnnotations'])


@pytest.mark.slow
@pytest.mark.released
@torch.no_grad()
def test_multi_scale_label_map_of_an_ade20k_image(cfg, model, golden_labels):
    load, tta = cfg.tta_pipeline
    resizes, flips, *_, pack = tta.transforms
    for resize, ratio in zip(resizes, cfg.tta_ratios):
        resize.scale = (int(1024 * ratio), int(256 * ratio))
    agree_on_labels(golden_labels, 'multi_scale_flip', SegTTAModel(model),
                    [load, dict(type='TestTimeAug', transforms=[resizes, flips, pack])])


@torch.no_grad()
def test_any_image_size_and_class_count(cfg):
    cfg.model.decode_head.num_classes = 19
    model = MODELS.build(cfg.model).eval()
    [sample] = model.test_step(dict(inputs=[torch.zeros(3, 500, 333, dtype=torch.uint8)]))
    assert sample.pred_sem_seg.data.shape == (1, 500, 333)
    assert sample.seg_logits.data.shape == (19, 500, 333)
    assert sample.seg_logits.data.isfinite().all()
