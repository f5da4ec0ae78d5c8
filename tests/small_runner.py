"""The least that a Runner trains, for tests of hooks."""
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement


class OneWeight(BaseModel):
    """Its loss is the weight's product with the inputs' mean."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=(self.weight * torch.stack(inputs).mean()).sum())


def require_fused():
    """Skips a test on PyTorch before 2.4, whose fused optimizers are for GPUs."""
    try:
        torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], fused=True).step()
    except RuntimeError:
        pytest.skip('the fused optimizers of this PyTorch need a GPU')


def small_runner(work_dir, inputs, hooks, checkpoint=None, optim_wrapper='OptimWrapper',
                 model=None, optimizer=None):
    """A Runner that trains :class:`OneWeight` on numbers, which come from 0.png, 1.png, ..."""
    data = [dict(inputs=torch.as_tensor(x, dtype=torch.float32),
                 data_samples=BaseDataElement(metainfo=dict(img_path=f'{i}.png')))
            for i, x in enumerate(inputs)]
    return Runner(
        model or OneWeight(), str(work_dir), experiment_name=str(work_dir),
        default_scope='mmengine',
        train_dataloader=dict(batch_size=1, num_workers=0, dataset=data,
                              sampler=dict(type='InfiniteSampler', shuffle=False)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=len(inputs), val_interval=1000),
        optim_wrapper=dict(type=optim_wrapper, optimizer=optimizer or dict(
            type='SGD', lr=0.1, momentum=0.9)),
        log_level='ERROR',
        custom_hooks=hooks, default_hooks=dict(logger=None, timer=None, checkpoint=checkpoint))
