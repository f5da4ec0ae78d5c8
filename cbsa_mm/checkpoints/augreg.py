"""ViT weights in augreg's JAX layout (.npz): to timm's layout and back."""
from collections.abc import Mapping

import torch
from torch import Tensor

from .tables import Table

_BLOCK = ('Transformer/encoderblock_{num_layers}', 'blocks.{num_layers}')
_ATTN = (f'{_BLOCK[0]}/MultiHeadDotProductAttention_1', f'{_BLOCK[1]}.attn')


def _norm(jax: str, timm: str) -> list[tuple]:
    return [(f'{jax}/scale', f'{timm}.weight', 'embed_dims'),
            (f'{jax}/bias', f'{timm}.bias', 'embed_dims')]


def _dense(jax: str, timm: str | None, kernel: str, bias: str) -> list[tuple]:
    return [(f'{jax}/kernel', timm and f'{timm}.weight', kernel),
            (f'{jax}/bias', timm and f'{timm}.bias', bias)]


_PARTS = ('query', 'key', 'value')  # three tensors here, one in timm's layout

AUGREG = Table([
    ('cls', 'cls_token', '1 1 embed_dims'),
    ('Transformer/posembed_input/pos_embedding', 'pos_embed', '1 num_tokens embed_dims'),
    *_dense('embedding', 'patch_embed.proj', 'patch_size patch_size in_channels embed_dims',
            'embed_dims'),
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


def to_timm(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts the tensors of a JAX ViT to timm's layout.

    Args:
        arrays: Tensors by JAX name, each of which has a timm name in :data:`AUGREG`.

    Returns:
        A state dict with timm's names.
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
        tensors[AUGREG.rename(name, 'released')] = array.contiguous()
    for name in [name for name in tensors if '.query.' in name]:
        parts = [tensors.pop(name.replace('query', part)) for part in _PARTS]
        tensors[name.replace('query', 'qkv')] = torch.cat(parts)
    return tensors


def from_timm(tensors: Mapping[str, Tensor], num_heads: int) -> dict[str, Tensor]:
    """Converts a ViT from timm's layout to the JAX layout, the inverse of :func:`to_timm`.

    Args:
        tensors: A state dict with timm's names, without the classification head.
        num_heads: Number of attention heads, needed for the shapes of the JAX layout.

    Returns:
        Tensors by JAX name.
    """
    split = {}
    for name, tensor in tensors.items():
        if '.qkv.' in name:
            split |= {name.replace('qkv', part): chunk
                      for part, chunk in zip(_PARTS, tensor.chunk(3))}
        else:
            split[name] = tensor
    arrays = {}
    for name, tensor in split.items():
        name = AUGREG.rename(name, 'ours')
        if name == 'embedding/kernel':
            tensor = tensor.permute(2, 3, 1, 0)
        elif name.endswith('/kernel'):
            tensor = tensor.T
            if '/out/' in name:
                tensor = tensor.unflatten(0, (num_heads, -1))
        if any(f'/{part}/' in name for part in _PARTS):
            tensor = tensor.unflatten(-1, (num_heads, -1))
        arrays[name] = tensor.contiguous()
    return arrays
