from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from cbsa_mm.engine import load_config, use_amp
from cbsa_mm.engine.launch import use_fused
from cbsa_mm.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_amp_needs_an_accelerator():
    with pytest.raises(UserError, match='--amp needs a GPU'):
        use_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))), 'float16')


@pytest.mark.parametrize('config, dtype, loss_scale', [
    ('cbt/cbt-s_in1k.py', 'float16', 'dynamic'),
    ('vit_adaptation/adapted-vit-s_in1k-224.py', 'float16', dict(init_scale=8192.)),
    ('vit_adaptation/adapted-vit-s_in1k-224.py', 'bfloat16', dict(enabled=False)),
])
def test_amp_starts_the_loss_scaler_as_released(config, dtype, loss_scale, monkeypatch):
    monkeypatch.setattr('cbsa_mm.engine.launch.get_device', lambda: 'cuda')
    cfg = Config.fromfile(CONFIGS / config)
    use_amp(cfg, dtype)
    assert (cfg.optim_wrapper.dtype, cfg.optim_wrapper.loss_scale) == (dtype, loss_scale)


@pytest.mark.parametrize('optimizer, fused', [
    (dict(type='AdamW'), True), (dict(type=torch.optim.Adam), True), (dict(type='Lion'), None),
    (dict(type='AdamW', fused=False), False), (dict(type='AdamW', foreach=True), None)])
def test_optimizers_are_fused_on_a_gpu(optimizer, fused, monkeypatch):
    wrapper = dict(optimizer=dict(optimizer))
    use_fused(wrapper)
    assert wrapper['optimizer'] == optimizer or torch.cuda.is_available()
    monkeypatch.setattr('cbsa_mm.engine.launch.get_device', lambda: 'cuda')
    use_fused(wrapper)
    assert wrapper['optimizer'].get('fused') is fused


def test_options_that_the_config_lacks():
    config = CONFIGS / 'cbt/cbt-t_shapes.py'
    assert load_config(config, dict(compile=True)).compile  # mmengine knows it
    with pytest.raises(UserError, match=r'has no optim_wraper \(did you mean optim_wrapper\?\)'):
        load_config(config, {'optim_wraper.clip_grad': None})


def test_detectors_are_for_few_tools():
    with pytest.raises(UserError, match="supports classifiers and segmenters, but .*a detector's "
                       r'config .* train.py, test.py and check_data.py'):
        load_config(CONFIGS / 'detection/cbt-s_mask-rcnn_coco.py')


@pytest.mark.parametrize('name', ['bad.YAML', 'bad.json'])
def test_configs_are_python(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text('!!python/object/apply:os.mkdir [created]')
    with pytest.raises(UserError, match=f'{name} is no Python file'):
        load_config(name)
    assert not (tmp_path / 'created').exists()
