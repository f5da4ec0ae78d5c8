"""Models in the released layouts, of random weights and any size, and what they compute."""
from functools import partial

import oracle
import released
import torch
from timm.models import VisionTransformer, VisionTransformerDistilled
from torch import Tensor, nn

from cbsa_mm.checkpoints import CBT_CLASSIFIER, CBT_SEGMENTER, Table
from cbsa_mm.checkpoints.jax_layout import AUGREG
from cbsa_mm.checkpoints.tables import (
    CBT_DECODER,
    DISTILLED_CBT_SEGMENTER,
    MMPRETRAIN_DISTILLED_VIT,
    MMPRETRAIN_VIT,
)


def make(table: Table, seed: int = 0, **sizes: int) -> dict[str, Tensor]:
    """Random tensors by all rows of a table, by their released names."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for row in table.rows:
        if 'pre_logits' in row.released:  # which few files have
            continue
        shape = [_length(word, sizes) for word in row.shape.split()]
        depths = [depth for size, depth in sizes.items() if f'{{{size}}}' in row.released]
        for i in range(*depths or [1]):
            name = row.released.format_map(dict.fromkeys(sizes, i))
            tensors[name] = _random(name, shape, generator)
    return tensors


def _length(word: str, sizes: dict[str, int]) -> int:
    factor, _, size = word.rpartition('*')
    size, _, divisor = size.partition('/')
    length = int(size) if size.isdigit() else sizes[size]
    return int(factor or 1) * length // int(divisor or 1)


def _random(name: str, shape: list[int], generator: torch.Generator) -> Tensor:
    """A tensor that keeps activations at a moderate size."""
    if not shape:
        return torch.tensor(7)
    tensor = torch.randn(shape, generator=generator)
    if name.endswith('running_var'):
        return tensor.abs() + 0.5
    if name.endswith('bias'):
        return 0.1 * tensor
    if name.endswith(('weight', 'scale')) and len(shape) == 1:
        return 1 + 0.1 * tensor
    if name.endswith(('weight', 'kernel')):
        outputs = shape[0] if name.endswith('weight') else shape[-1]
        return tensor / (tensor.numel() / outputs)**0.5
    return tensor


def make_classifier(d: int, depth: int, h: int, classes: int = 1000, side: int = 224,
                    p: int | None = None) -> dict[str, Tensor]:
    """A CBT classifier."""
    return make(CBT_CLASSIFIER, embed_dims=d, num_layers=depth, num_heads=h, in_channels=3,
                inner_dims=h * p if p else d, num_tokens=1 + (side // 16)**2, num_classes=classes)


def _vit_sizes(d: int, depth: int, num_tokens: int) -> dict[str, int]:
    return dict(embed_dims=d, num_layers=depth, num_tokens=num_tokens, num_labels=1000,
                mlp_dims=4 * d, patch_size=16, in_channels=3)


def make_vit(d: int, depth: int, num_tokens: int, distilled: bool = False) -> dict[str, Tensor]:
    """A ViT/16 by timm's names."""
    table = MMPRETRAIN_DISTILLED_VIT if distilled else MMPRETRAIN_VIT
    return make(table, **_vit_sizes(d, depth, num_tokens))


def make_augreg(d: int, depth: int, h: int, num_tokens: int) -> dict[str, Tensor]:
    """A ViT/16 in the JAX layout."""
    return make(AUGREG, **_vit_sizes(d, depth, num_tokens), num_heads=h, head_dims=d // h)


def crate_alpha_in_jax(weights: dict[str, Tensor], h: int) -> dict[str, Tensor]:
    """A CRATE-alpha classifier with the names and shapes of the released JAX code."""
    def dense(name: str) -> Tensor:
        return weights[f'{name}.weight'].T

    def norm(name: str, released: str) -> dict[str, Tensor]:
        return {f'{name}/scale': weights[f'{released}.weight'],
                f'{name}/bias': weights[f'{released}.bias']}

    arrays = {
        'cls': weights['cls_token'], 'pos_embedding': weights['pos_embedding'],
        'embedding/kernel': weights['conv1.weight'].permute(2, 3, 1, 0),
        'embedding/bias': weights['conv1.bias'],
        **norm('encoder_norm', 'mlp_head.0'),
        'head/kernel': dense('mlp_head.1'), 'head/bias': weights['mlp_head.1.bias']}
    for i in range(sum(name.endswith('qkv.weight') for name in weights)):
        jax, layer = f'Transformer/encoderblock_{i}', f'transformer.layers.{i}'
        attention = f'{jax}/MultiHeadDotProductSubspaceAttention_0'
        arrays |= norm(f'{jax}/LayerNorm_0', f'{layer}.0.norm')
        arrays |= norm(f'{jax}/LayerNorm_1', f'{layer}.1.norm')
        arrays[f'{attention}/proj/kernel'] = dense(f'{layer}.0.fn.qkv').unflatten(1, (h, -1))
        arrays[f'{attention}/out/kernel'] = dense(f'{layer}.0.fn.to_out.0').unflatten(0, (h, -1))
        for name in ('D', 'D1'):
            arrays[f'{jax}/OvercompleteISTABlock_0/{name}'] = weights[f'{layer}.1.fn.{name}']
    return arrays


def make_segmenter(d: int, depth: int, decoder_depth: int, side: int = 512, classes: int = 150,
                   distilled: bool = False) -> dict[str, Tensor]:
    """A CBT segmenter, whose decoder has 3 heads of 100 dimensions."""
    table = DISTILLED_CBT_SEGMENTER if distilled else CBT_SEGMENTER
    return make(table, **_vit_sizes(d, depth, 1 + distilled + (side // 16)**2),
                num_classes=classes, decoder_num_layers=decoder_depth, decoder_num_heads=3,
                decoder_inner_dims=300)


def timm_vit(d: int, depth: int, h: int, side: int, distilled: bool = False) -> nn.Module:
    """timm's ViT/16, with an eps of 1e-5."""
    cls = VisionTransformerDistilled if distilled else VisionTransformer
    return cls(img_size=side, embed_dim=d, depth=depth, num_heads=h,
               norm_layer=partial(nn.LayerNorm, eps=1e-5)).eval()


def segment(weights: dict[str, Tensor], image: Tensor, h: int) -> Tensor:
    """Masks of a CBT segmenter, at the patches' resolution, by timm and the equations."""
    encoder, head = (released.pick(weights, prefix) for prefix in ('encoder.', 'decoder.'))
    side, depth = image.shape[-1], sum(name.endswith('qkv.weight') for name in encoder)
    vit = timm_vit(encoder['norm.bias'].numel(), depth, h, side, 'dist_token' in encoder)
    vit.load_state_dict(encoder)
    grid = (side // 16, side // 16)
    features = vit.forward_features(image)[:, -grid[0] * grid[1]:].mT.unflatten(2, grid)
    return oracle.decoder(features, released.rename(head, CBT_DECODER), 3, 10)
