"""The equations of the paper (arXiv 2509.16875v3), one by one, slowly: the tests' reference."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor


def pool(image: Tensor, size: int) -> Tensor:
    """Adaptive average pooling of (D, H, W) to (D, size, size), bin by bin."""
    _, height, width = image.shape

    def bins(length):
        return [(i * length // size, math.ceil((i + 1) * length / size)) for i in range(size)]

    rows = [torch.stack([image[:, top:bottom, left:right].mean(dim=(1, 2))
                         for left, right in bins(width)], dim=1)
            for top, bottom in bins(height)]
    return torch.stack(rows, dim=1)


def cbsa(x: Tensor, layer: dict, num_heads: int, grid: tuple, grid_size: int, offset: int):
    """CBSA of tokens (B, N, d) with the parameters of one layer, a head and an image at a time."""
    outputs = []
    for tokens in x:
        W = tokens @ layer['in_proj.weight'].T
        image = W[offset:offset + grid[0] * grid[1]].T.reshape(-1, *grid)
        R0 = pool(image, grid_size).flatten(1).T
        heads = []
        for k, (w, r0) in enumerate(zip(W.chunk(num_heads, 1), R0.chunk(num_heads, 1))):
            p = w.shape[1]
            A = torch.softmax(r0 @ w.T / math.sqrt(p), dim=1)
            R = r0 + layer['step_rep'][k] * (A @ w)                           # eq. 5
            C = torch.softmax(R @ R.T / math.sqrt(p), dim=1) @ R              # eq. 8
            heads.append(layer['step_x'][k] * (A.T @ C))                      # eqs. 6, 8
        outputs.append(torch.cat(heads, 1) @ layer['out_proj.weight'].T + layer['out_proj.bias'])
    return torch.stack(outputs)


def ista(y: Tensor, D: Tensor, eta: float = 0.1, lam: float = 0.1) -> Tensor:
    """One ISTA step of row tokens, in three products as in the released code."""
    Dy = F.linear(y, D)
    return F.relu(y + eta * (F.linear(y, D.T) - F.linear(Dy, D.T)) - eta * lam)


def layer_norm(x: Tensor, layer: dict, name: str) -> Tensor:
    """LayerNorm with eps 1e-5."""
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * layer[f'{name}.weight'] + layer[f'{name}.bias']


def sub(tensors: dict, prefix: str) -> dict:
    """The entries below a prefix."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def decoder(features: Tensor, weights: dict, num_heads: int, grid_size: int) -> Tensor:
    """The mask transformer on features (B, d, H, W): masks (B, K, H, W)."""
    batch, _, height, width = features.shape
    classes = weights['class_embed'].expand(batch, -1, -1)
    x = torch.cat([features.flatten(2).transpose(1, 2), classes], dim=1)
    for i in range(sum(k.endswith('step_x') for k in weights)):
        layer = sub(weights, f'layers.{i}.')
        x = x + cbsa(layer_norm(x, layer, 'norm1'), sub(layer, 'attn.'), num_heads,
                     (height, width), grid_size, 0)
    x = layer_norm(x, weights, 'norm')
    x = x / x.norm(dim=-1, keepdim=True)
    patches, classes = x[:, :height * width], x[:, height * width:]
    masks = layer_norm(patches @ classes.transpose(1, 2), weights, 'mask_norm')
    return masks.transpose(1, 2).reshape(batch, -1, height, width)
