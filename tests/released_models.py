"""Models in the released layout: random weights of any size, and what the equations make of them.

Nothing here uses the package: names, shapes and forward passes are spelt out once more.
"""
import torch
import torch.nn.functional as F
from oracle import cbsa, decoder, ista, layer_norm, sub
from torch import Tensor


def _random(shapes: dict[str, tuple], seed: int) -> dict[str, Tensor]:
    """Random tensors: weights and biases that keep activations at a moderate size."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        tensor = torch.randn(shape, generator=generator)
        if name.endswith('running_var'):
            tensor = tensor.abs() + 0.5
        elif len(shape) > 1 and name.endswith('weight'):
            tensor /= tensor[0].numel()**0.5
        elif name.endswith('weight'):
            tensor = 1 + 0.1 * tensor
        elif name.endswith('bias'):
            tensor *= 0.1
        tensors[name] = tensor
    return tensors


def _pair(name: str, *shape: int) -> dict[str, tuple]:
    return {f'{name}.weight': shape, f'{name}.bias': shape[:1]}


def _attention(name: str, d: int, h: int, p: int) -> dict[str, tuple]:
    return {f'{name}.step_rep': (h, 1, 1), f'{name}.step_x': (h, 1, 1),
            f'{name}.proj.weight': (h * p, d), **_pair(f'{name}.to_out', d, h * p)}


def make_classifier(d: int, depth: int, h: int, classes: int = 1000, side: int = 224,
                    p: int | None = None, seed: int = 0) -> dict[str, Tensor]:
    """A released CBT classifier with random weights."""
    shapes = {'cls_token': (1, 1, d), 'pos_embedding': (1, 1 + (side // 16)**2, d),
              **_pair('mlp_head.0', d), **_pair('mlp_head.1', classes, d)}
    widths = [3, d // 8, d // 4, d // 2, d]
    for i in range(4):
        stage = f'to_patch_embedding.proj.{2 * i}'
        shapes |= {f'{stage}.0.weight': (widths[i + 1], widths[i], 3, 3),
                   **_pair(f'{stage}.1', widths[i + 1])}
        shapes |= {f'{stage}.1.running_{kind}': (widths[i + 1], ) for kind in ('mean', 'var')}
    for i in range(depth):
        layer = f'transformer.layers.{i}'
        shapes |= {**_pair(f'{layer}.0.norm', d), **_pair(f'{layer}.1.norm', d),
                   f'{layer}.1.fn.weight': (d, d),
                   **_attention(f'{layer}.0.fn', d, h, p or d // h)}
    tensors = _random(shapes, seed)
    for i in range(4):
        tensors[f'to_patch_embedding.proj.{2 * i}.1.num_batches_tracked'] = torch.tensor(7)
    return tensors


def make_vit(d: int, depth: int, num_tokens: int, labels: int = 1000, distilled: bool = False,
             seed: int = 0) -> dict[str, Tensor]:
    """A ViT/16 by timm's names with random weights."""
    shapes = {'cls_token': (1, 1, d), 'pos_embed': (1, num_tokens, d),
              **_pair('patch_embed.proj', d, 3, 16, 16), **_pair('norm', d),
              **_pair('head', labels, d)}
    if distilled:
        shapes |= {'dist_token': (1, 1, d), **_pair('head_dist', labels, d)}
    for i in range(depth):
        block = f'blocks.{i}'
        shapes |= {**_pair(f'{block}.norm1', d), **_pair(f'{block}.norm2', d),
                   **_pair(f'{block}.attn.qkv', 3 * d, d), **_pair(f'{block}.attn.proj', d, d),
                   **_pair(f'{block}.mlp.fc1', 4 * d, d), **_pair(f'{block}.mlp.fc2', d, 4 * d)}
    return _random(shapes, seed)


def make_segmenter(d: int, depth: int, decoder_depth: int, side: int = 512, classes: int = 150,
                   distilled: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """A released CBT segmenter with random weights."""
    num_tokens = 1 + distilled + (side // 16)**2
    encoder = make_vit(d, depth, num_tokens, distilled=distilled, seed=seed)
    shapes = {'cls_emb': (1, classes, d), **_pair('decoder_norm', d),
              **_pair('mask_norm', classes)}
    for i in range(decoder_depth):
        layer = f'net.layers.{i}'
        shapes |= {**_pair(f'{layer}.norm', d), **_attention(f'{layer}.fn', d, 3, 100)}
    return {**{f'encoder.{k}': v for k, v in encoder.items()},
            **{f'decoder.{k}': v for k, v in _random(shapes, seed + 1).items()}}


def make_augreg(d: int, depth: int, h: int, num_tokens: int, labels: int = 1000,
                seed: int = 0) -> dict[str, Tensor]:
    """The ViT of :func:`make_vit` in the JAX layout."""
    timm = make_vit(d, depth, num_tokens, labels, seed=seed)
    arrays = {'cls': timm['cls_token'],
              'Transformer/posembed_input/pos_embedding': timm['pos_embed'],
              'embedding/kernel': timm['patch_embed.proj.weight'].permute(2, 3, 1, 0),
              'embedding/bias': timm['patch_embed.proj.bias'],
              'Transformer/encoder_norm/scale': timm['norm.weight'],
              'Transformer/encoder_norm/bias': timm['norm.bias'],
              'head/kernel': timm['head.weight'].T, 'head/bias': timm['head.bias']}
    for i in range(depth):
        block, jax = sub(timm, f'blocks.{i}.'), f'Transformer/encoderblock_{i}'
        attention = f'{jax}/MultiHeadDotProductAttention_1'
        for k, name in enumerate(('query', 'key', 'value')):
            weight, bias = (block[f'attn.qkv.{kind}'].chunk(3)[k] for kind in ('weight', 'bias'))
            arrays[f'{attention}/{name}/kernel'] = weight.T.reshape(d, h, -1)
            arrays[f'{attention}/{name}/bias'] = bias.reshape(h, -1)
        arrays[f'{attention}/out/kernel'] = block['attn.proj.weight'].T.reshape(h, -1, d)
        arrays[f'{attention}/out/bias'] = block['attn.proj.bias']
        for ours, theirs in (('norm1', 'LayerNorm_0'), ('norm2', 'LayerNorm_2')):
            arrays[f'{jax}/{theirs}/scale'] = block[f'{ours}.weight']
            arrays[f'{jax}/{theirs}/bias'] = block[f'{ours}.bias']
        for k in (1, 2):
            arrays[f'{jax}/MlpBlock_3/Dense_{k - 1}/kernel'] = block[f'mlp.fc{k}.weight'].T
            arrays[f'{jax}/MlpBlock_3/Dense_{k - 1}/bias'] = block[f'mlp.fc{k}.bias']
    return {name: array.contiguous() for name, array in arrays.items()}


def _ours(layer: dict) -> dict:
    """A released CBSA layer by the names that the oracle takes."""
    return {name.replace('to_out', 'out_proj').replace('proj.w', 'in_proj.w')
            if name == 'proj.weight' else name.replace('to_out', 'out_proj'): tensor
            for name, tensor in layer.items()}


def classify(weights: dict, image: Tensor, h: int) -> Tensor:
    """Logits of a released CBT classifier."""
    x = image
    for i in range(4):
        stage = sub(weights, f'to_patch_embedding.proj.{2 * i}.')
        x = F.conv2d(x, stage['0.weight'], stride=2, padding=1)
        scale = stage['1.weight'] / (stage['1.running_var'] + 1e-5).sqrt()
        shift = stage['1.bias'] - stage['1.running_mean'] * scale
        x = x * scale[:, None, None] + shift[:, None, None]
        x = F.gelu(x) if i < 3 else x
    grid = x.shape[2:]
    x = torch.cat([weights['cls_token'].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1)
    x = x + weights['pos_embedding']
    for i in range(sum(name.endswith('step_x') for name in weights)):
        layer = sub(weights, f'transformer.layers.{i}.')
        attn = _ours(sub(layer, '0.fn.'))
        x = x + cbsa(layer_norm(x, layer, '0.norm'), attn, h, grid, 8, 0)
        x = ista(layer_norm(x, layer, '1.norm'), layer['1.fn.weight'])
    x = layer_norm(x[:, 0], weights, 'mlp_head.0')
    return F.linear(x, weights['mlp_head.1.weight'], weights['mlp_head.1.bias'])


def encode(weights: dict, image: Tensor, h: int) -> Tensor:
    """Tokens of a ViT by timm's names after its last norm, with eps 1e-5 throughout."""
    x = F.conv2d(image, weights['patch_embed.proj.weight'], weights['patch_embed.proj.bias'], 16)
    x = x.flatten(2).transpose(1, 2)
    extra = [weights[name] for name in ('cls_token', 'dist_token') if name in weights]
    x = torch.cat([*(token.expand(len(x), -1, -1) for token in extra), x], 1)
    x = x + weights['pos_embed']
    for i in range(sum(name.endswith('qkv.weight') for name in weights)):
        block = sub(weights, f'blocks.{i}.')
        qkv = F.linear(layer_norm(x, block, 'norm1'), block['attn.qkv.weight'],
                       block['attn.qkv.bias'])
        q, k, v = (part.unflatten(-1, (h, -1)).transpose(1, 2) for part in qkv.chunk(3, -1))
        attention = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1]**0.5, -1) @ v
        x = x + F.linear(attention.transpose(1, 2).flatten(2), block['attn.proj.weight'],
                         block['attn.proj.bias'])
        hidden = F.gelu(F.linear(layer_norm(x, block, 'norm2'), block['mlp.fc1.weight'],
                                 block['mlp.fc1.bias']))
        x = x + F.linear(hidden, block['mlp.fc2.weight'], block['mlp.fc2.bias'])
    return layer_norm(x, weights, 'norm')


def segment(weights: dict, image: Tensor, h: int) -> Tensor:
    """Masks of a released CBT segmenter, at the patches' resolution."""
    encoder, head = sub(weights, 'encoder.'), sub(weights, 'decoder.')
    grid = [side // 16 for side in image.shape[2:]]
    patches = encode(encoder, image, h)[:, -grid[0] * grid[1]:]
    features = patches.transpose(1, 2).unflatten(2, grid)
    ours = {'class_embed': head['cls_emb']}
    for name, tensor in head.items():
        if name.startswith('net.'):
            i, part = name.removeprefix('net.layers.').split('.', 1)
            part = part.replace('norm.', 'norm1.') if part.startswith('norm') else \
                'attn.' + next(iter(_ours({part.removeprefix('fn.'): tensor})))
            ours[f'layers.{i}.{part}'] = tensor
        elif name != 'cls_emb':
            ours[name.replace('decoder_norm', 'norm')] = tensor
    return decoder(features, ours, 3, 10)
