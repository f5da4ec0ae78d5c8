"""An iteration of training reads nothing from the device, which would wait for it."""
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import IterBasedTrainLoop
from small_runner import require_fused
from tool_process import ROOT
from torch.overrides import TorchFunctionMode

from cbsa_mm.engine.launch import CheckedRunner

READS = {'item', 'tolist', 'cpu', 'numpy', 'nonzero', 'masked_select', 'unique', '__array__',
         '__bool__', '__float__', '__int__', '__index__', '__repr__', '__format__'}


class Reads(TorchFunctionMode):
    """Collects which functions of this package read tensors, and how."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs, frame = getattr(func, '__name__', ''), kwargs or {}, sys._getframe(1)
        inside = '/torch/' in frame.f_code.co_filename  # where .to() is to the tensors' own device
        to_cpu = name == 'to' and not inside and 'cpu' in map(str, [*args[1:], *kwargs.values()])
        by_mask = name == '__getitem__' and getattr(args[1], 'dtype', None) == torch.bool
        if name in READS or to_cpu or by_mask:
            while '/torch/' in frame.f_code.co_filename:
                frame = frame.f_back
            if '/cbsa_mm/' in frame.f_code.co_filename or frame.f_code.co_filename == __file__:
                self.found.append((frame.f_code.co_name, name))
        return func(*args, **kwargs)


@pytest.mark.parametrize('read', [
    bool, float, str, torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.cpu,
    lambda x: x.to('cpu'), lambda x: f'{x:.1f}', lambda x: x[x > 0], lambda x: print(x)])
def test_reads_are_noticed(read):
    require_fused()  # as below
    with Reads() as reads:
        read(torch.ones(()))
    assert reads.found


@pytest.mark.parametrize('optimizer', [dict(type='AdamW'), dict(type='SGD', momentum=0.9)])
def test_only_reports_read(optimizer, tmp_path, monkeypatch):
    """The first iteration, and each tenth, when the guard reports."""
    require_fused()
    cfg = Config.fromfile(ROOT / 'configs/cbt/cbt-t_shapes.py')
    cfg.merge_from_dict(dict(
        model=dict(backbone=dict(arch=dict(embed_dims=16, num_layers=2, num_heads=2)),
                   decode_head=dict(in_channels=16, num_layers=1,
                                    loss_decode=dict(class_weight=[1.] * 6))),
        train_dataloader=dict(batch_size=2, num_workers=0, persistent_workers=False),
        optim_wrapper=dict(optimizer=dict(_delete_=True, lr=1e-3, fused=True, **optimizer)),
        train_cfg=dict(max_iters=12, val_interval=12)))
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = cfg.default_hooks.checkpoint = None
    cfg.work_dir = str(tmp_path)
    run_iter, found = IterBasedTrainLoop.run_iter, {}

    def watch(loop, batch):
        with Reads() as reads:
            run_iter(loop, batch)
        if reads.found:
            found[loop.iter] = reads.found

    monkeypatch.setattr(IterBasedTrainLoop, 'run_iter', watch)
    CheckedRunner.from_cfg(cfg).train()
    assert found == {1: [('_check_gradients', '__bool__')], 10: [('_report', 'tolist')]}
