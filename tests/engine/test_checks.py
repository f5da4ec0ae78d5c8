import errno
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from cbsa_mm.engine import (
    check_data_folders,
    load_config,
    load_strictly,
    report_user_errors,
    use_amp,
    use_auto_scale_lr,
    use_tta,
)
from cbsa_mm.errors import UserError

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize('wrap, key', [
    (lambda dataset: dict(type='RepeatDataset', dataset=dataset), 'dataset'),
    (lambda dataset: dict(type='ConcatDataset', datasets=[dict(), dataset]), 'datasets.1'),
])
def test_missing_folder_is_named(wrap, key, tmp_path):
    (tmp_path / 'images').mkdir()
    dataset = dict(data_root=str(tmp_path), data_prefix=dict(img='images', labels='labels'))
    cfg = Config(dict(train_dataloader=dict(dataset=wrap(dataset))))
    with pytest.raises(UserError, match=rf'train_dataloader.dataset.{key}: there is no folder '
                       rf'{tmp_path}/labels.*--cfg-options train_dataloader.dataset.{key}'):
        check_data_folders(cfg, ('train_dataloader', ))
    (tmp_path / 'labels').mkdir()
    check_data_folders(cfg, ('train_dataloader', ))


def test_data_without_files_has_no_folders():
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='ShapesDataset'))))
    check_data_folders(cfg, ('train_dataloader', 'val_dataloader'))


def test_loads_with_and_without_prefix():
    model, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    load_strictly(model, dict(state_dict={f'module.{k}': v for k, v in other.state_dict().items()}))
    assert torch.equal(model.weight, other.weight)
    load_strictly(model, other.state_dict())


def test_refuses_tensors_with_and_without_prefix():
    state_dict = torch.nn.Linear(2, 3).state_dict()
    with pytest.raises(UserError, match="has tensors twice, with and without 'module.'"):
        load_strictly(torch.nn.Linear(2, 3), state_dict | {'module.bias': torch.zeros(3)})


@pytest.mark.parametrize('bias', [torch.tensor([0, float('nan'), 1]), torch.full((3, ), torch.inf),
                                  torch.zeros(3, dtype=torch.int8)])
def test_refuses_what_are_no_weights(bias):
    state_dict = torch.nn.Linear(2, 3).state_dict() | dict(bias=bias)
    with pytest.raises(UserError, match='NaN, infinite values or integers are in 1 of the 2 '
                       r'tensors of the checkpoint, such as bias \(torch'):
        load_strictly(torch.nn.Linear(2, 3), state_dict)


@pytest.mark.parametrize('change, message', [
    (dict(weight=torch.zeros(3, 4)), 'size mismatch for weight'),
    (dict(extra=torch.zeros(1)), 'Unexpected key'),
    (dict(bias=None), 'Missing key'),
])
def test_refuses_what_does_not_fit(change, message):
    state_dict = {k: v for k, v in (torch.nn.Linear(2, 3).state_dict() | change).items()
                  if v is not None}
    with pytest.raises(UserError, match=f'does not fit the model.*{message}.*Use the config'):
        load_strictly(torch.nn.Linear(2, 3), dict(state_dict=state_dict))


def test_user_errors_end_with_one_message():
    worker = UserError('Caught UserError in DataLoader worker process 0.\nOriginal Traceback '
                       '(most recent call last):\n...\ncbsa_mm.errors.UserError: bad label')
    with pytest.raises(SystemExit, match='error: bad label$'), report_user_errors():
        raise worker
    with pytest.raises(RuntimeError, match='a bug'), report_user_errors():
        raise RuntimeError('a bug')


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_amp_needs_an_accelerator():
    with pytest.raises(UserError, match='--amp needs a GPU'):
        use_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))), 'float16')


@pytest.mark.parametrize('config, dtype, loss_scale', [
    ('cbt/cbt-s_in1k.py', 'float16', 'dynamic'),
    ('vit_adaptation/adapted-vit-s_in1k-224.py', 'float16', dict(init_scale=8192.)),
    ('vit_adaptation/adapted-vit-s_in1k-224.py', 'bfloat16', dict(enabled=False)),
    ('finetune/cbt-s_cifar10.py', 'float16', 'dynamic'),
])
def test_amp_starts_the_loss_scaler_as_released(config, dtype, loss_scale, monkeypatch):
    monkeypatch.setattr('cbsa_mm.engine.launch.get_device', lambda: 'cuda')
    cfg = Config.fromfile(CONFIGS / config)
    use_amp(cfg, dtype)
    assert (cfg.optim_wrapper.dtype, cfg.optim_wrapper.loss_scale) == (dtype, loss_scale)



def test_options_that_the_config_does_not_support():
    with pytest.raises(UserError, match='--tta: the config has no tta_pipeline'):
        use_tta(Config(dict(model=dict())))
    with pytest.raises(UserError, match='the config has no auto_scale_lr.base_batch_size'):
        use_auto_scale_lr(Config(dict(model=dict())))


def test_options_that_the_config_lacks():
    args = Namespace(config=CONFIGS / 'cbt/cbt-t_ade20k.py', cfg_options=dict(
        compile=True, model_wrapper_cfg=dict(type='A'), find_unused_parameters=True))
    assert load_config(args).compile  # mmengine knows them
    args.cfg_options = {'optim_wraper.clip_grad': None}
    with pytest.raises(UserError, match=r'has no optim_wraper \(did you mean optim_wrapper\?\)'):
        load_config(args)


def test_detectors_are_for_few_tools():
    args = Namespace(config=CONFIGS / 'detection/cbt-s_mask-rcnn_coco.py', cfg_options={})
    with pytest.raises(UserError, match="takes classifiers and segmenters, but .*is a detector's "
                       r'config .* train.py, test.py and check_data.py'):
        load_config(args)


@pytest.mark.parametrize('error, message', [
    (OSError(errno.ENOSPC, 'No space left on device'), "can't write the logs: No space left on"),
    (RuntimeError('gloo: Connection closed by peer [::1]:1'), 'another process of this run has'),
    (RuntimeError('code: -98, message: address already in use'), 'choose another, such as PORT='),
])
def test_errors_of_the_machine_end_with_one_message(error, message):
    with pytest.raises(SystemExit, match=f'error: .*{message}'), report_user_errors():
        raise error
    with pytest.raises(OSError, match='a bug'), report_user_errors():
        raise OSError(errno.EINVAL, 'a bug')
