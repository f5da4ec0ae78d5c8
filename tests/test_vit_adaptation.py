"""The classifiers of configs/vit_adaptation against the released code, and their first weights."""
import json
from pathlib import Path

import numpy as np
import pytest
import released
import timm
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms

import cbsa_mm  # noqa: F401
from cbsa_mm.checkpoints import PLAIN_VIT
from cbsa_mm.engine.checks import check_pretrained
from cbsa_mm.errors import UserError
from cbsa_mm.inference import load_from_timm, use_safe_loading

CONFIGS = Path(__file__).parents[1] / 'configs/vit_adaptation'
TINY = dict(embed_dim=24, depth=2, num_heads=3)  # in timm's words


def load(name, num_classes, img_size, patch_size=16, **arch):
    """A shipped config at another size, without pretrained weights."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    init_default_scope('mmpretrain')
    cfg.model.backbone.update(arch=arch, img_size=img_size, patch_size=patch_size)
    cfg.model.backbone.init_cfg.checkpoint = cfg.model.head.init_cfg.override.checkpoint = None
    cfg.model.head.update(num_classes=num_classes, in_channels=arch['embed_dims'])
    cfg.model.data_preprocessor = cfg.data_preprocessor | dict(num_classes=num_classes)
    return cfg


def our_name(name):
    return {'head.weight': 'head.fc.weight', 'head.bias': 'head.fc.bias'}.get(
        name) or f'backbone.{PLAIN_VIT.rename(name, "released")}'


@pytest.mark.released
def test_training_steps_of_the_released_adapted_vit():
    golden = released.read('adapted_vit_training')
    cfg = load('adapted-vit-t_in1k-224', num_classes=10, img_size=80, patch_size=8,
               embed_dims=32, num_layers=2, num_heads=2)
    cfg.model.data_preprocessor.to_rgb = False  # they are RGB
    # In float64: gradients of the keys' biases vanish, and Adam makes large steps of what rounding
    # leaves of them.
    model = MODELS.build(cfg.model).double().to(released.device()).train()
    start, end = ({our_name(k): v.double() for k, v in released.pick(golden, prefix).items()}
                  for prefix in ('weight.', 'output.weight.'))
    model.load_state_dict(start)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    scheduler = PARAM_SCHEDULERS.build(cfg.param_scheduler | dict(optimizer=wrapper))
    losses = []
    for images, labels in zip(golden['input.images'], golden['input.labels']):  # an epoch each
        data = dict(inputs=images, data_samples=[DataSample().set_gt_label(i) for i in labels])
        losses.append(model.train_step(data, wrapper)['loss'].item())
        scheduler.step()
    errors = (torch.tensor(losses).double() / golden['output.losses'] - 1).abs()
    released.agree('adapted ViT, losses of 6 steps, the worst', errors.max().item(), 1e-6)
    trained = model.state_dict()
    moved = sum((end[k] - start[k]).square().sum() for k in trained).sqrt()
    apart = sum((end[k] - v).square().sum() for k, v in trained.items()).sqrt()
    released.agree('adapted ViT, weights after 6 steps, by how far they moved',
                   (apart / moved).item(), 1e-4)


@pytest.mark.parametrize('pixels, short_side, size', [
    (224, 256, (500, 600)), (384, 438, (333, 250))])
def test_evaluation_gives_torchvisions_pixels(pixels, short_side, size, tmp_path):
    cfg = Config.fromfile(CONFIGS / f'adapted-vit-b_in1k-{pixels}.py')
    init_default_scope('mmpretrain')
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    image.save(tmp_path / 'image.png')
    sample = Compose(cfg.test_dataloader.dataset.pipeline)(
        dict(img_path=str(tmp_path / 'image.png'), gt_label=0))
    preprocess = MODELS.build(dict(cfg.data_preprocessor, type='ClsDataPreprocessor'))
    ours = preprocess(dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]))
    theirs = transforms.Compose([
        transforms.Resize(short_side), transforms.CenterCrop(pixels), transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])])(image)
    torch.testing.assert_close(ours['inputs'][0], theirs, rtol=0, atol=1e-5)


@pytest.fixture
def timm_model(tmp_path):
    """A model of timm's, in a folder with what timm would download and in files."""
    torch.manual_seed(0)
    model = timm.create_model('vit_tiny_patch16_224', img_size=64, num_classes=7, **TINY).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    save_file(model.state_dict(), tmp_path / 'model.safetensors')
    (tmp_path / 'config.json').write_text(json.dumps(dict(
        architecture='vit_tiny_patch16_224', num_classes=7, model_args=dict(TINY, img_size=64),
        pretrained_cfg=dict(num_classes=7, input_size=[3, 64, 64]))))
    return model


@pytest.mark.parametrize('checkpoint', [
    'timm://local-dir:{}', '{}/model.safetensors'])
def test_starts_from_timms_weights_head_included(checkpoint, timm_model, tmp_path):
    use_safe_loading()  # as the tools do
    cfg = load('vit-t_in1k-224', num_classes=7, img_size=64,
               embed_dims=24, num_layers=2, num_heads=3)
    cfg.model.backbone.init_cfg.checkpoint = checkpoint.format(tmp_path)
    cfg.model.head.init_cfg.override.checkpoint = checkpoint.format(tmp_path)
    model = MODELS.build(cfg.model).eval()
    check_pretrained(model)
    model.init_weights()
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model(image, mode='tensor'), timm_model(image))

    cfg.model.head.num_classes = 8
    with pytest.raises(UserError, match=r'do not fit the head.fc: 2 of its 2 tensors .* weight'):
        check_pretrained(MODELS.build(cfg.model))


def test_a_name_that_timm_does_not_know():
    with pytest.raises(UserError, match="timm://vit_none can't be loaded .*Unknown model"):
        load_from_timm('timm://vit_none')


@pytest.mark.parametrize('config', sorted(CONFIGS.glob('vit-*.py')), ids=lambda path: path.stem)
def test_the_weights_are_timms_default_as_released(config):
    backbone, head = (Config.fromfile(config).model[part] for part in ('backbone', 'head'))
    name = backbone.init_cfg.checkpoint.removeprefix('timm://')
    assert head.init_cfg.override.checkpoint == f'timm://{name}'
    model, _, tag = name.partition('.')
    assert timm.get_pretrained_cfg(model).tag == tag
