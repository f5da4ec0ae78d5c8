"""Properties of a converted model beyond its tensors' sizes."""
import math

from cbsa_mm.errors import UserError

from .families import Converted

IMAGENET_MEAN, IMAGENET_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
HALF = [127.5, 127.5, 127.5]
# A ViT's tensors do not show its number of heads: these are the published models', by width.
VIT_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
DEPICT_HEADS = 3  # nor do those of a DEPICT decoder


def describe(converted: Converted,
             net_kwargs: dict | None = None,
             num_heads: int | None = None) -> dict:
    """Collects the known properties of a model.

    Args:
        converted: The converted weights.
        net_kwargs: The settings in variant.yml, if there is one.
        num_heads: Number of heads of a ViT, if unknown from the file.

    Returns:
        Properties by name; ``num_heads`` and ``img_size`` (height, width in pixels) are None if
        unknown.

    Raises:
        UserError: If ``num_heads`` contradicts the file, or the heads do not divide
            the width of the attention.
    """
    sizes, net_kwargs = dict(converted.sizes), net_kwargs or {}
    family = converted.family
    distilled = any(name.endswith('dist_token') for name in converted.state_dict)
    if 'patch_dims' in sizes:
        sizes['patch_size'] = math.isqrt(sizes.pop('patch_dims') // 3)
    sizes.setdefault('patch_size', 16)
    told = sizes.get('num_heads') or net_kwargs.get('n_heads')
    if told and num_heads and told != num_heads:
        raise UserError(f'num_heads is {told} according to the file, not {num_heads}')
    heads = told or num_heads or VIT_HEADS.get(sizes['embed_dims'])
    facts = dict(num_heads=heads, distilled=distilled, backbone=family.backbone, head=family.head)
    buffers = ('.running_mean', '.running_var', '.num_batches_tracked')
    facts['num_parameters'] = sum(
        tensor.numel() for name, tensor in converted.state_dict.items()
        if not name.endswith(buffers))
    inner = sizes.pop('inner_dims', sizes['embed_dims'])
    if heads and inner % heads:
        raise UserError(f'{heads} heads do not divide a width of {inner}')
    facts['head_dims'] = heads and inner // heads
    if 'decoder_num_layers' in sizes:
        decoder_heads = sizes.setdefault('decoder_num_heads', DEPICT_HEADS)
        for part in ('decoder', 'decoder_cross'):
            if f'{part}_inner_dims' in sizes:
                inner = sizes.pop(f'{part}_inner_dims')
                if inner % decoder_heads:
                    raise UserError(f'{decoder_heads} heads do not divide the {inner} channels of '
                                    'the decoder')
                facts[f'{part}_head_dims'] = inner // decoder_heads
    num_patches = sizes.pop('num_tokens') - 1 - distilled
    side = round(num_patches**0.5)
    square = (side * sizes['patch_size'], ) * 2 if side**2 == num_patches else None
    facts['img_size'] = tuple(net_kwargs.get('image_size') or ()) or square
    normalization = net_kwargs.get('normalization', 'deit' if distilled else 'vit')
    if 'mlp_dims' not in sizes or normalization == 'deit':  # a CBT, or a DeiT
        facts['mean'], facts['std'] = IMAGENET_MEAN, IMAGENET_STD
    else:
        facts['mean'], facts['std'] = HALF, HALF
    return sizes | facts
