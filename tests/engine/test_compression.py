import json

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

from cbsa_mm.backbones import CBT
from cbsa_mm.engine import CompressionHook
from cbsa_mm.interpret import Recorder


class Model(BaseModel):
    def __init__(self, attn_cfg):
        super().__init__()
        self.backbone = CBT(
            dict(embed_dims=24, num_layers=2, num_heads=3), img_size=32, attn_cfg=attn_cfg)

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.backbone(torch.stack(inputs))[0].square().mean())


@pytest.mark.parametrize('attn_cfg, num_scalars', [
    (dict(type='CBSA', grid_size=2), 10), (dict(type='TSSA'), 6)])
def test_logs_every_interval(attn_cfg, num_scalars, tmp_path):
    torch.manual_seed(0)
    model, images = Model(attn_cfg), torch.randn(2, 3, 32, 32)
    runner = Runner(
        model, str(tmp_path), experiment_name=str(tmp_path), log_level='ERROR',
        train_dataloader=dict(
            batch_size=2, num_workers=0, dataset=[dict(inputs=image) for image in images],
            sampler=dict(type='InfiniteSampler', shuffle=False)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=4),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)),
        default_hooks=dict(logger=None, timer=None, checkpoint=None),
        custom_hooks=[CompressionHook(interval=2)])
    runner.train()
    [file] = tmp_path.glob('*/vis_data/*.json')
    logged = {line['step']: line for line in map(json.loads, file.read_text().splitlines())}
    assert set(logged) == {2, 4}
    names = {name for name in logged[4] if name.startswith('compression/')}
    assert len(names) == num_scalars
    with Recorder(model) as recorder:
        model(list(images))
    layer, name = recorder.layers[1], 'compression/backbone.layers.1.attn'
    assert logged[4][f'{name}/sparsity'] == pytest.approx(layer.sparsity().mean().item())
    assert logged[4][f'{name}/tokens'] == pytest.approx(
        layer.coding_rates()['tokens'].mean().item(), rel=1e-4)
    assert f'{name}/tokens_after' in names
