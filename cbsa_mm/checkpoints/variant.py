"""variant.yml, which the released code writes next to a segmenter's checkpoint."""
from pathlib import Path

import yaml

from cbsa_mm.errors import UserError


class _Loader(yaml.SafeLoader):
    """A safe loader that also reads tuples, used by the released code for image sizes."""


_Loader.add_constructor(
    'tag:yaml.org,2002:python/tuple', lambda loader, node: tuple(loader.construct_sequence(node)))


def read_variant(text: str, path: Path) -> dict:
    """Reads the network settings of a variant.yml.

    Args:
        text: The file's text.
        path: Its name, for messages.

    Returns:
        Its ``net_kwargs``, such as ``{'image_size': (512, 512), 'n_heads': 3, ...}``.

    Raises:
        UserError: If it is not YAML, contains more than plain data, or has no ``net_kwargs``.
    """
    try:
        variant = yaml.load(text, Loader=_Loader)  # the loader above is a safe one
    except yaml.YAMLError as error:
        raise UserError(f'{path} cannot be read: {error}. It should be plain data, as written by '
                        'the released code; fix or move it') from error
    net_kwargs = variant.get('net_kwargs') if isinstance(variant, dict) else None
    if not isinstance(net_kwargs, dict):
        raise UserError(f'{path} has no net_kwargs: it is not the variant.yml of a segmenter. '
                        'Move it')
    image_size = net_kwargs.get('image_size', (1, 1))
    if not (isinstance(image_size, list | tuple) and len(image_size) == 2
            and all(_is_size(side) for side in image_size)):
        raise UserError(f'{path}: image_size must be two positive integers, got {image_size!r}')
    decoder = net_kwargs.get('decoder', {})
    if not isinstance(decoder, dict):
        raise UserError(f'{path}: decoder must be a dict, got {decoder!r}')
    for name in ('d_model', 'n_heads', 'n_layers', 'patch_size', 'n_cls'):
        for part in (net_kwargs, decoder):
            if name in part and not _is_size(part[name]):
                raise UserError(f'{path}: {name} must be a positive integer, got {part[name]!r}')
    return net_kwargs


def _is_size(value: object) -> bool:
    return isinstance(value, int) and value > 0


def check_variant(net_kwargs: dict, sizes: dict[str, int], distilled: bool, path: Path) -> None:
    """Compares a variant.yml with the checkpoint's tensors.

    The decoder's ``n_heads`` is ignored: the released decoder always has 3.

    Args:
        net_kwargs: Result of :func:`read_variant`.
        sizes: Sizes read from the tensors.
        distilled: Whether they have a distillation token.
        path: The file's name, for messages.

    Raises:
        UserError: If they disagree, i.e. the file belongs to another checkpoint.
    """
    decoder = net_kwargs.get('decoder', {})
    height, width = net_kwargs.get('image_size', (0, 0))
    num_patches = (height // sizes['patch_size']) * (width // sizes['patch_size'])
    told = {
        'd_model': (net_kwargs.get('d_model'), sizes['embed_dims']),
        'n_layers': (net_kwargs.get('n_layers'), sizes['num_layers']),
        'patch_size': (net_kwargs.get('patch_size'), sizes['patch_size']),
        'n_cls': (net_kwargs.get('n_cls'), sizes['num_classes']),
        'distilled': (net_kwargs.get('distilled'), distilled),
        'decoder.n_layers': (decoder.get('n_layers'), sizes['decoder_num_layers']),
        'image_size, in patches': (num_patches or None, sizes['num_tokens'] - 1 - distilled),
    }
    wrong = [f'{name} is {said} there and {found} in the checkpoint'
             for name, (said, found) in told.items() if said is not None and said != found]
    if wrong:
        raise UserError(f'{path} belongs to another checkpoint: {"; ".join(wrong)}. Replace it '
                        'with the right one, or move it')
