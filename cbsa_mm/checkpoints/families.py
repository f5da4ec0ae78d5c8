"""Recognises released checkpoints and converts their state dicts in both directions."""
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import filter as matches

from torch import Tensor

from cbsa_mm.errors import UserError

from . import jax_layout
from .read import find_state_dict
from .tables import (
    CBT_CLASSIFIER,
    CBT_SEGMENTER,
    CRATE_ALPHA_CLASSIFIER,
    CRATE_CLASSIFIER,
    CRATE_STYLE_CLASSIFIER,
    DEPICT_CA_SEGMENTER,
    DEPICT_SA_SEGMENTER,
    DISTILLED_CBT_SEGMENTER,
    MMPRETRAIN_DISTILLED_VIT,
    MMPRETRAIN_VIT,
    MMSEG_VIT,
    TOST_STYLE_CLASSIFIER,
    Table,
)


@dataclass(frozen=True, eq=False)
class Family:
    """A kind of released checkpoint.

    Attributes:
        title: Its title.
        marks: Names (with wildcards) by which a released file of this family is recognised.
        tables: Its mapping for each library, 'mmseg' or 'mmpretrain', that has the model; the
            first is the default. If empty, the family is recognised but cannot be converted.
        entry: The key of the state dict in a released file; None for the whole file.
        backbone: A classifier's backbone, beyond its sizes.
        head: The type of a segmenter's head.
        jax: The mapping of its released files, in the JAX layout (.npz), to PyTorch's layout,
            from which ``tables`` lead on; None if they are PyTorch's.
    """
    title: str
    marks: tuple[str, ...]
    tables: dict[str, Table] = field(default_factory=dict)
    entry: str | None = None
    backbone: dict = field(default_factory=lambda: dict(type='CBT'))
    head: str = 'CBTMaskTransformerHead'
    jax: Table | None = None


_QKV = 'transformer.layers.*.0.fn.qkv.weight'
_STEP = 'transformer.layers.*.0.fn.step_rep'
_VIT = {'mmseg': MMSEG_VIT, 'mmpretrain': MMPRETRAIN_VIT}
_CRATE_ALPHA = dict(
    type='PlainViT', attn_cfg=dict(type='MSSA', out_bias=False), ffn_cfg=dict(type='ODL'))
FAMILIES = [  # the first one with all marks present is chosen
    Family('hybrid CRATE+CBT classifier', (_QKV, _STEP)),
    Family('ToST-style classifier', ('transformer.layers.*.0.fn.temp',),
           {'mmpretrain': TOST_STYLE_CLASSIFIER}, 'state_dict',
           dict(type='CBT', attn_cfg=dict(type='TSSA'))),
    Family('CRATE-style classifier', ('to_patch_embedding.proj.*', _QKV),
           {'mmpretrain': CRATE_STYLE_CLASSIFIER}, 'state_dict',
           dict(type='CBT', attn_cfg=dict(type='MSSA'))),
    Family('CRATE classifier', ('to_patch_embedding.2.weight', _QKV),
           {'mmpretrain': CRATE_CLASSIFIER}, 'state_dict',
           dict(type='CBT', attn_cfg=dict(type='MSSA'), stem='linear')),
    Family('CRATE-alpha classifier', ('conv1.weight', 'transformer.layers.*.1.fn.D1'),
           {'mmpretrain': CRATE_ALPHA_CLASSIFIER},
           backbone=dict(_CRATE_ALPHA, final_norm_eps=1e-5)),
    Family('CBT classifier', ('to_patch_embedding.proj.*', _STEP),
           {'mmpretrain': CBT_CLASSIFIER}, 'state_dict'),
    Family('CBT segmenter with a distilled encoder',
           ('encoder.dist_token', 'decoder.net.layers.*.fn.step_rep'),
           {'mmseg': DISTILLED_CBT_SEGMENTER}, 'model'),
    Family('CBT segmenter', ('encoder.*', 'decoder.net.layers.*.fn.step_rep'),
           {'mmseg': CBT_SEGMENTER}, 'model'),
    Family('DEPICT-CA segmenter', ('encoder.*', 'decoder.cnet.*'),
           {'mmseg': DEPICT_CA_SEGMENTER}, 'model', head='DEPICTCAHead'),
    Family('DEPICT-SA segmenter', ('encoder.*', 'decoder.net.layers.*.fn.step_size'),
           {'mmseg': DEPICT_SA_SEGMENTER}, 'model', head='DEPICTSAHead'),
    Family('Segmenter with a mask transformer', ('encoder.*', 'decoder.blocks.*')),
    Family('Segmenter with a linear decoder', ('encoder.*', 'decoder.head.weight')),
    Family('distilled ViT', ('blocks.*.attn.qkv.weight', 'dist_token'),
           {'mmpretrain': MMPRETRAIN_DISTILLED_VIT}),
    Family('ViT', ('blocks.*.attn.qkv.weight', 'patch_embed.proj.weight'), _VIT),
    Family('CRATE-alpha classifier in the JAX layout',
           ('Transformer/encoderblock_*/OvercompleteISTABlock_0/D1', ),
           {'mmpretrain': CRATE_ALPHA_CLASSIFIER}, jax=jax_layout.CRATE_ALPHA,
           backbone=dict(_CRATE_ALPHA, final_norm_eps=None)),  # all are 1e-6 in JAX
    Family('ViT in the JAX layout', ('Transformer/encoderblock_*',), _VIT, jax=jax_layout.AUGREG),
]


@dataclass
class Converted:
    """A state dict in this package's layout.

    Attributes:
        family: Its family.
        library: The library, 'mmseg' or 'mmpretrain', whose model it fits.
        sizes: Sizes read from the tensors, such as ``embed_dims`` and ``num_layers``.
        state_dict: The tensors by our names.
        released: What :func:`restore` also needs: the family's title, the prefix of the
            released names, and the tensors that the released model contains but does not use.
    """
    family: Family
    library: str
    sizes: dict[str, int]
    state_dict: dict[str, Tensor]
    released: dict


def identify(state_dict: Mapping[str, Tensor]) -> Family:
    """Recognises the family of a released state dict by its names.

    Raises:
        UserError: If the family is unknown.
    """
    names = list(_split_prefix(state_dict)[1])
    for family in FAMILIES:
        if all(matches(names, mark) for mark in family.marks):
            return family
    titles = ', '.join(family.title for family in FAMILIES if family.tables)
    raise UserError(f'these weights belong to no known family ({titles}); their first names are '
                    f'{", ".join(names[:4])}')


def convert(state_dict: Mapping[str, Tensor], library: str | None = None) -> Converted:
    """Converts a released state dict to this package's layout, without unnecessary copies.

    Args:
        state_dict: The released tensors by name, all optionally with the prefix 'module.' (or,
            in JAX, 'params/' or 'opt/target/').
        library: 'mmseg' or 'mmpretrain', if a family fits both; by default the family's default.

    Raises:
        UserError: If the family is unknown, or its model is not in this package or library; if
            tensors are missing, unknown, of a wrong shape, NaN or infinite.
    """
    prefix, state_dict = _split_prefix(state_dict)
    family = identify(state_dict)
    if not family.tables:
        raise UserError(f'this is a {family.title}, which cbsa_mm cannot convert')
    library = library or next(iter(family.tables))
    if library not in family.tables:
        raise UserError(f'a {family.title} can be converted for {" or ".join(family.tables)}, not '
                        f'for {library}')
    table = family.tables[library]
    try:
        first = family.jax or table
        sizes = first.measure(state_dict, 'released')
        unused = {k: v for k, v in state_dict.items() if first.rename(k, 'released') is None}
        used = {k: v for k, v in state_dict.items() if k not in unused}
        if family.jax:
            used = jax_layout.to_pytorch(used, family.jax)
        _check_heads(sizes)
    except UserError as error:
        raise UserError(f'this is a {family.title}, but {error}') from error
    ours = {table.rename(name, 'released'): tensor for name, tensor in used.items()}
    released = dict(family=family.title, prefix=prefix, unused=unused)
    if family.jax:
        released['num_heads'] = sizes['num_heads']
    return Converted(family, library, sizes, ours, released)


def restore(state_dict: Mapping[str, Tensor],
            released: Mapping | None = None) -> tuple[Family, dict[str, Tensor]]:
    """Converts a state dict of this package's layout back to the released one.

    Args:
        state_dict: Tensors by our names.
        released: The ``released`` of :class:`Converted`; without it, released names get no
            prefix, and tensors that the released model does not use are omitted.

    Returns:
        The family, and the tensors by their released names.

    Raises:
        UserError: If the family is unknown, or tensors are missing, unknown, of a
            wrong shape, NaN or infinite.
    """
    released = released or {}
    # The table that knows most of the names, and the smallest of those.
    known = {(family, table): (sum(table.knows(name, 'ours') for name in state_dict),
                               -len(table.rows))
             for family in FAMILIES if not family.jax for table in family.tables.values()}
    family, table = max(known, key=known.get)
    if not known[family, table][0]:
        raise UserError('these weights are not in the layout of cbsa_mm; their first names are '
                        f'{", ".join(list(state_dict)[:4])}')
    try:
        table.measure(state_dict, 'ours')
    except UserError as error:
        raise UserError(f'this is a {family.title}, but {error}') from error
    tensors = {table.rename(name, 'ours'): tensor for name, tensor in state_dict.items()}
    try:
        return _as_released(family, tensors, released)
    except (ArithmeticError, AttributeError, KeyError, RuntimeError, TypeError,
            ValueError) as error:
        raise UserError('its entry "released", needed to convert back, does not match its '
                        'tensors: remove that entry') from error


def _as_released(family: Family, tensors: dict[str, Tensor],
                 released: Mapping) -> tuple[Family, dict[str, Tensor]]:
    """Restores what the converted layout does not have."""
    for other in FAMILIES:
        if other.jax and other.title == released.get('family'):
            family = other
            tensors = jax_layout.from_pytorch(tensors, other.jax, released['num_heads'])
    prefix, unused = released.get('prefix', ''), released.get('unused', {})
    if unused.keys() & tensors.keys():
        raise KeyError
    return family, find_state_dict({prefix + k: v for k, v in (tensors | unused).items()})


def _split_prefix(state_dict: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Strips the prefix of wrapped models, 'module.', or of the parameters in JAX."""
    if any(name.startswith('params/') for name in state_dict):  # perhaps with optimizer and clock
        state_dict = {k: v for k, v in state_dict.items() if not k.startswith(('opt/', 'chrono/'))}
    for prefix in ('module.', 'params/', 'opt/target/'):
        if state_dict and all(name.startswith(prefix) for name in state_dict):
            return prefix, {k.removeprefix(prefix): v for k, v in state_dict.items()}
    return '', dict(state_dict)


def _check_heads(sizes: dict[str, int]) -> None:
    for prefix in ('', 'decoder_'):
        heads, inner = sizes.get(f'{prefix}num_heads'), sizes.get(f'{prefix}inner_dims')
        if heads and inner and inner % heads:
            raise UserError(f'its {heads} heads do not divide the {inner} channels of its '
                            f'{"decoder" if prefix else "attention"}')
