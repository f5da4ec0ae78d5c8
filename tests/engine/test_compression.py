from types import SimpleNamespace

import pytest
import torch

from cbsa_mm.backbones import CBT
from cbsa_mm.engine import CompressionHook
from cbsa_mm.interpret import Recorder


@pytest.mark.parametrize('attn_cfg, num_scalars', [
    (dict(type='CBSA', grid_size=2), 10), (dict(type='TSSA'), 6)])
def test_logs_every_interval(attn_cfg, num_scalars):
    logged = {}
    visualizer = SimpleNamespace(add_scalars=lambda scalars, step: logged.update({step: scalars}))
    model = CBT(dict(embed_dims=24, num_layers=2, num_heads=3), img_size=32, attn_cfg=attn_cfg)
    runner = SimpleNamespace(model=model, iter=0, visualizer=visualizer)
    hook, image = CompressionHook(interval=2), torch.randn(2, 3, 32, 32)
    for runner.iter in range(4):
        hook.before_train_iter(runner, runner.iter)
        model(image)[0].sum().backward()
        hook.after_train_iter(runner, runner.iter)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert set(logged) == {2, 4}
    assert len(logged[4]) == num_scalars and 'compression/layers.1.attn/tokens_after' in logged[4]
    with Recorder(model) as recorder:
        model(image)
    layer = recorder.layers[1]
    assert logged[4]['compression/layers.1.attn/sparsity'] == pytest.approx(
        layer.sparsity().mean().item())
    assert logged[4]['compression/layers.1.attn/tokens'] == pytest.approx(
        layer.coding_rates()['tokens'].mean().item(), rel=1e-4)
