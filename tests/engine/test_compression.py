import json

import pytest
import torch
from mmengine.model import BaseModel
from small_runner import small_runner

from cbsa_mm.backbones import CBT
from cbsa_mm.engine import CompressionHook
from cbsa_mm.interpret import Recorder


class Flat(BaseModel):
    """A backbone whose weights stay, since its loss is always zero."""

    def __init__(self, attn_cfg):
        super().__init__()
        arch = dict(embed_dims=24, num_layers=2, num_heads=3)
        self.backbone = CBT(arch, img_size=32, attn_cfg=attn_cfg)

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=0 * self.backbone(torch.stack(inputs))[0].sum())


@pytest.mark.parametrize('attn_cfg, num_scalars', [
    (dict(type='CBSA', grid_size=2), 10), (dict(type='TSSA'), 6)])
def test_logs_every_interval(attn_cfg, num_scalars, tmp_path):
    model, images = Flat(attn_cfg), torch.randn(5, 3, 32, 32)
    small_runner(tmp_path, images, [CompressionHook(interval=2)], model=model).train()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    [file] = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line['step'] for line in lines] == [2, 4]
    logged = {name: value for name, value in lines[1].items() if name.startswith('compression/')}
    assert len(logged) == num_scalars
    with Recorder(model) as recorder:
        model.backbone(images[3:4])
    layer = recorder.layers[1]
    assert logged[f'compression/{layer.name}/sparsity'] == pytest.approx(
        layer.sparsity().mean().item())
    assert logged[f'compression/{layer.name}/tokens'] == pytest.approx(
        layer.coding_rates()['tokens'].mean().item(), rel=1e-4)
