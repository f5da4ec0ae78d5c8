"""The plain form: the paper's equations (arXiv 2509.16875v3) as the released code computes them.

It is the reference of the tests and the baseline of benchmark.py. Weights are dicts of tensors
with this package's names.
"""
import torch
import torch.nn.functional as F
from torch import Tensor


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, n, h*p) to (B, h, n, p)."""
    return x.reshape(*x.shape[:2], num_heads, -1).permute(0, 2, 1, 3)


def attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax attention, and its matrix."""
    A = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1]**-0.5, dim=-1)
    return A @ v, A


def cbsa(x: Tensor, layer: dict, num_heads: int, grid: tuple, grid_size: int,
         offset: int) -> Tensor:
    """CBSA of tokens (B, N, d) with the parameters of one layer."""
    W = F.linear(x, layer['in_proj.weight'])
    image = W[:, offset:offset + grid[0] * grid[1]].reshape(len(x), *grid, -1).permute(0, 3, 1, 2)
    R0 = F.adaptive_avg_pool2d(image, grid_size).flatten(2).transpose(1, 2)
    W, R0 = split_heads(W, num_heads), split_heads(R0, num_heads)
    extracted, A = attend(R0, W, W)
    R = R0 + layer['step_rep'] * extracted                                # eq. 5
    C, _ = attend(R, R, R)                                                # eq. 8
    Y = layer['step_x'] * (A.transpose(-1, -2) @ C)                       # eqs. 6, 8
    Y = Y.permute(0, 2, 1, 3).reshape(*x.shape[:2], -1)
    return F.linear(Y, layer['out_proj.weight'], layer['out_proj.bias'])


def ista(y: Tensor, D: Tensor, eta: float = 0.1, lam: float = 0.1) -> Tensor:
    """One ISTA step of row tokens, in three products."""
    Dy = F.linear(y, D)
    return F.relu(y + eta * (F.linear(y, D.T) - F.linear(Dy, D.T)) - eta * lam)


def layer_norm(x: Tensor, layer: dict, name: str) -> Tensor:
    """LayerNorm with eps 1e-5."""
    return F.layer_norm(x, x.shape[-1:], layer[f'{name}.weight'], layer[f'{name}.bias'])


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


def tied_mssa(queries: Tensor, x: Tensor, layer: dict, num_heads: int) -> Tensor:
    """DEPICT's attention of queries (B, K, d) to tokens (B, N, d): s (softmax(Q W^T / ..) W) U."""
    U = layer['in_proj.weight']
    Q, W = (split_heads(F.linear(tokens, U), num_heads) for tokens in (queries, x))
    Y, _ = attend(Q, W, W)
    return layer['step_x'] * Y.permute(0, 2, 1, 3).reshape(*queries.shape[:2], -1) @ U


def depict(features: Tensor, weights: dict, num_heads: int) -> Tensor:
    """DEPICT's decoders, -CA with cross layers, on features (B, d, H, W): masks (B, K, H, W)."""
    batch, _, height, width = features.shape
    x, classes = features.flatten(2).transpose(1, 2), weights['class_embed'].expand(batch, -1, -1)
    num_cross_layers = sum(k.startswith('cross_norms') for k in weights) // 2
    if not num_cross_layers:
        x = torch.cat([x, classes], dim=1)
    for i in range(sum(k.startswith('layers') and k.endswith('step_x') for k in weights)):
        layer = sub(weights, f'layers.{i}.')
        y = layer_norm(x, layer, 'norm1')
        x = x + tied_mssa(y, y, sub(layer, 'attn.'), num_heads)
    x = layer_norm(x, weights, 'norm')
    if num_cross_layers:
        for i in range(num_cross_layers):
            y = layer_norm(x, sub(weights, 'cross_norms.'), str(i))
            classes = classes + tied_mssa(classes, y, sub(weights, f'cross_layers.{i}.'), num_heads)
        classes = layer_norm(classes, weights, 'class_norm')
    else:
        x, classes = x[:, :height * width], x[:, height * width:]
    x, classes = (t / t.norm(dim=-1, keepdim=True) for t in (x, classes))
    masks = layer_norm(x @ classes.transpose(1, 2), weights, 'mask_norm')
    return masks.transpose(1, 2).reshape(batch, -1, height, width)


def stem(image: Tensor, weights: dict, training: bool) -> Tensor:
    """The convolutions, each with BatchNorm, GELU between them: (B, d, H, W)."""
    convs = sorted(int(name.split('.')[0]) for name in weights if weights[name].ndim == 4)
    x = image
    for i in convs:
        x = F.conv2d(F.gelu(x) if i else x, weights[f'{i}.weight'], stride=2, padding=1)
        norm = sub(weights, f'{i + 1}.')
        x = F.batch_norm(x, norm['running_mean'], norm['running_var'], norm['weight'],
                         norm['bias'], training)
    return x


def cbt(image: Tensor, weights: dict, num_heads: int, training: bool = False,
        grid_size: int = 8) -> Tensor:
    """The classifier's backbone at its native image size: the class token (B, d)."""
    x = stem(image, sub(weights, 'stem.'), training)
    grid, x = x.shape[2:], x.flatten(2).transpose(1, 2)
    x = torch.cat([weights['cls_token'].expand(len(x), -1, -1), x], dim=1) + weights['pos_embed']
    for i in range(sum(name.endswith('step_x') for name in weights)):
        layer = sub(weights, f'layers.{i}.')
        x = x + cbsa(layer_norm(x, layer, 'norm1'), sub(layer, 'attn.'), num_heads, grid,
                     grid_size, 0)
        x = ista(layer_norm(x, layer, 'norm2'), layer['ista.weight'])
    return layer_norm(x, weights, 'norm')[:, 0]
