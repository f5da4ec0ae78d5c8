"""The released code's parameter names, put into this package's."""
import re
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

DATA = Path(__file__).parent / 'data'

CLASSIFIER = [
    (r'^to_patch_embedding\.proj\.(\d+)\.(\d)\.',
     lambda m: f'backbone.stem.{int(m[1]) // 2 * 3 + int(m[2])}.'),
    (r'^pos_embedding$', 'backbone.pos_embed'),
    (r'^cls_token$', 'backbone.cls_token'),
    (r'^transformer\.layers\.(\d+)\.0\.norm\.', r'backbone.layers.\1.norm1.'),
    (r'^transformer\.layers\.(\d+)\.0\.fn\.', r'backbone.layers.\1.attn.'),
    (r'^transformer\.layers\.(\d+)\.1\.norm\.', r'backbone.layers.\1.norm2.'),
    (r'^transformer\.layers\.(\d+)\.1\.fn\.', r'backbone.layers.\1.ista.'),
    (r'\.attn\.proj\.', '.attn.in_proj.'),
    (r'\.attn\.to_out\.', '.attn.out_proj.'),
    (r'^mlp_head\.0\.', 'backbone.norm.'),
    (r'^mlp_head\.1\.', 'head.fc.'),
]
DECODER = [
    (r'^cls_emb$', 'class_embed'),
    (r'^net\.layers\.(\d+)\.norm\.', r'layers.\1.norm1.'),
    (r'^net\.layers\.(\d+)\.fn\.proj\.', r'layers.\1.attn.in_proj.'),
    (r'^net\.layers\.(\d+)\.fn\.to_out\.', r'layers.\1.attn.out_proj.'),
    (r'^net\.layers\.(\d+)\.fn\.', r'layers.\1.attn.'),
    (r'^decoder_norm\.', 'norm.'),
]
ENCODER = [
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^blocks\.(\d+)\.norm(\d)\.', r'layers.\1.ln\2.'),
    (r'^blocks\.(\d+)\.attn\.qkv\.', r'layers.\1.attn.attn.in_proj_'),
    (r'^blocks\.(\d+)\.attn\.proj\.', r'layers.\1.attn.attn.out_proj.'),
    (r'^blocks\.(\d+)\.mlp\.fc1\.', r'layers.\1.ffn.layers.0.0.'),
    (r'^blocks\.(\d+)\.mlp\.fc2\.', r'layers.\1.ffn.layers.1.'),
    (r'^norm\.', 'ln1.'),
]


def read(name: str) -> dict[str, Tensor]:
    """Reads the tensors of tests/data/NAME.safetensors."""
    with safe_open(DATA / f'{name}.safetensors', framework='pt') as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def pick(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def rename(tensors: dict[str, Tensor], table: list) -> dict[str, Tensor]:
    """Applies a table of (pattern, replacement) to the names, in its order."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in table:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed
