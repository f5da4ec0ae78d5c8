"""Weights in the JAX layout (.npz) of augreg and CRATE-alpha: to PyTorch's layouts and back."""
from collections.abc import Mapping

import torch
from torch import Tensor

from .tables import Table


def _norm(jax: str, pytorch: str) -> list[tuple]:
    return [(f'{jax}/scale', f'{pytorch}.weight', 'embed_dims'),
            (f'{jax}/bias', f'{pytorch}.bias', 'embed_dims')]


def _dense(jax: str, pytorch: str | None, kernel: str, bias: str) -> list[tuple]:
    return [(f'{jax}/kernel', pytorch and f'{pytorch}.weight', kernel),
            (f'{jax}/bias', pytorch and f'{pytorch}.bias', bias)]


_PATCHES = ('patch_size patch_size in_channels embed_dims', 'embed_dims')
_BLOCK = ('Transformer/encoderblock_{num_layers}', 'blocks.{num_layers}')
_ATTN = (f'{_BLOCK[0]}/MultiHeadDotProductAttention_1', f'{_BLOCK[1]}.attn')
_PARTS = ('query', 'key', 'value')  # three tensors here, one in timm's layout

AUGREG = Table([
    ('cls', 'cls_token', '1 1 embed_dims'),
    ('Transformer/posembed_input/pos_embedding', 'pos_embed', '1 num_tokens embed_dims'),
    *_dense('embedding', 'patch_embed.proj', *_PATCHES),
    *_norm(f'{_BLOCK[0]}/LayerNorm_0', f'{_BLOCK[1]}.norm1'),
    *[row for name in _PARTS
      for row in _dense(f'{_ATTN[0]}/{name}', f'{_ATTN[1]}.{name}',
                        'embed_dims num_heads head_dims', 'num_heads head_dims')],
    *_dense(f'{_ATTN[0]}/out', f'{_ATTN[1]}.proj', 'num_heads head_dims embed_dims', 'embed_dims'),
    *_norm(f'{_BLOCK[0]}/LayerNorm_2', f'{_BLOCK[1]}.norm2'),
    *_dense(f'{_BLOCK[0]}/MlpBlock_3/Dense_0', f'{_BLOCK[1]}.mlp.fc1', 'embed_dims mlp_dims',
            'mlp_dims'),
    *_dense(f'{_BLOCK[0]}/MlpBlock_3/Dense_1', f'{_BLOCK[1]}.mlp.fc2', 'mlp_dims embed_dims',
            'embed_dims'),
    *_norm('Transformer/encoder_norm', 'norm'),
    *_dense('pre_logits', None, 'embed_dims embed_dims', 'embed_dims'),
    *_dense('head', None, 'embed_dims num_labels', 'num_labels'),
])

_LAYER = 'transformer.layers.{num_layers}'
_MSSA = f'{_BLOCK[0]}/MultiHeadDotProductSubspaceAttention_0'

CRATE_ALPHA = Table([
    ('cls', 'cls_token', '1 1 embed_dims'),
    ('pos_embedding', 'pos_embedding', '1 num_tokens embed_dims'),
    *_dense('embedding', 'conv1', *_PATCHES),
    *_norm(f'{_BLOCK[0]}/LayerNorm_0', f'{_LAYER}.0.norm'),
    (f'{_MSSA}/proj/kernel', f'{_LAYER}.0.fn.qkv.weight', 'embed_dims num_heads head_dims'),
    (f'{_MSSA}/out/kernel', f'{_LAYER}.0.fn.to_out.0.weight', 'num_heads head_dims embed_dims'),
    *_norm(f'{_BLOCK[0]}/LayerNorm_1', f'{_LAYER}.1.norm'),
    *[(f'{_BLOCK[0]}/OvercompleteISTABlock_0/{name}', f'{_LAYER}.1.fn.{name}',
       'embed_dims 4*embed_dims') for name in ('D', 'D1')],
    *_norm('encoder_norm', 'mlp_head.0'),
    *_dense('head', 'mlp_head.1', 'embed_dims num_classes', 'num_classes'),
])


def to_pytorch(arrays: Mapping[str, Tensor], table: Table) -> dict[str, Tensor]:
    """Converts the tensors of a JAX model to the PyTorch layout of its kind.

    Args:
        arrays: Tensors by JAX name, each of which has a PyTorch name.
        table: :data:`AUGREG`, for timm's layout, or :data:`CRATE_ALPHA`, for the released one.

    Returns:
        A state dict by PyTorch's names.
    """
    tensors = {}
    for name, array in arrays.items():
        if name.endswith('/bias'):
            array = array.flatten() if array.ndim == 2 else array  # (h, p) -> (h*p)
        elif name == 'embedding/kernel':
            array = array.permute(3, 2, 0, 1)                      # (H, W, c, d) -> (d, c, H, W)
        elif name.endswith('/kernel'):
            # To (inputs, outputs); linear layers hold the transpose.
            array = (array.flatten(0, -2) if '/out/' in name else array.flatten(1)).T
        tensors[table.rename(name, 'released')] = array.contiguous()
    for name in [name for name in tensors if '.query.' in name]:
        parts = [tensors.pop(name.replace('query', part)) for part in _PARTS]
        tensors[name.replace('query', 'qkv')] = torch.cat(parts)
    return tensors


def from_pytorch(tensors: Mapping[str, Tensor], table: Table,
                 num_heads: int) -> dict[str, Tensor]:
    """Converts a model from its PyTorch layout to JAX's, the inverse of :func:`to_pytorch`.

    Args:
        tensors: A state dict by PyTorch's names, for timm's without the classification head.
        table: As in :func:`to_pytorch`.
        num_heads: Number of attention heads, needed for the shapes of the JAX layout.

    Returns:
        Tensors by JAX name.
    """
    split = {}
    for name, tensor in tensors.items():
        if table.knows(name, 'ours'):
            split[name] = tensor
        else:  # query, key and value in one
            split |= {name.replace('qkv', part): chunk
                      for part, chunk in zip(_PARTS, tensor.chunk(3))}
    arrays = {}
    for name, tensor in split.items():
        name = table.rename(name, 'ours')
        if name == 'embedding/kernel':
            tensor = tensor.permute(2, 3, 1, 0)
        elif name.endswith('/kernel'):
            tensor = tensor.T
            if '/out/' in name:
                tensor = tensor.unflatten(0, (num_heads, -1))
        if any(f'/{part}/' in name for part in (*_PARTS, 'proj')):
            tensor = tensor.unflatten(-1, (num_heads, -1))
        arrays[name] = tensor.contiguous()
    return arrays
