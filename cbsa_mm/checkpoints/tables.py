"""Maps tensors of released models to ours: one table per family.

A row is (released name, our name, shape). Names are templates: ``{num_layers}`` stands for the
index of a layer. Shapes are words separated by spaces: a number, a size such as ``embed_dims``, or
a multiple or fraction of one, such as ``3*embed_dims`` or ``embed_dims/8``. The sizes, including
the numbers of layers, are read from the tensors. A row without our name is a tensor
that the released model contains but does not use.
"""
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from cbsa_mm.errors import UserError


@dataclass(frozen=True)
class Row:
    """A tensor's names in both layouts, and its shape."""
    released: str
    ours: str | None
    shape: str


class Table:
    """A mapping between the released layout and ours, for both directions.

    Args:
        rows: (released name, our name, shape), as described in this module.
    """

    def __init__(self, rows: list[tuple[str, str | None, str]]) -> None:
        self.rows = [Row(*row) for row in rows]

    def within(self, released: str, ours: str) -> 'Table':
        """The same table for a part of a larger model, with these prefixes."""
        return Table([(released + row.released, row.ours and ours + row.ours, row.shape)
                      for row in self.rows])

    def __add__(self, other: 'Table') -> 'Table':
        table = Table([])
        table.rows = self.rows + other.rows
        return table

    def knows(self, name: str, source: str) -> bool:
        """Whether ``name`` belongs to the layout ``source``, 'released' or 'ours'."""
        return any(pattern.fullmatch(name) for pattern, _ in self._patterns[source])

    def rename(self, name: str, source: str) -> str | None:
        """Translates one name.

        Args:
            name: Name in the layout ``source``.
            source: 'released' or 'ours'; the result is in the other layout.

        Returns:
            The other layout's name, or None if it has none.

        Raises:
            KeyError: If the name is not in the table.
        """
        row, index = self._find(name, source)
        target = row.ours if source == 'released' else row.released
        return target and _fill(target, index)

    def measure(self, tensors: Mapping[str, Tensor], source: str) -> dict[str, int]:
        """Reads the sizes from the tensors, and checks that these are complete and consistent.

        Args:
            tensors: A state dict in the layout ``source``; rows without our name are optional.
            source: 'released' or 'ours'.

        Returns:
            The sizes by name, such as ``{'embed_dims': 192, 'num_layers': 12, ...}``.

        Raises:
            UserError: If tensors are missing, unknown, of a wrong shape or dtype, NaN or infinite.
        """
        found, unknown, depths = {}, [], {}
        for name in tensors:
            try:
                row, index = self._find(name, source)
            except KeyError:
                unknown.append(name)
                continue
            found[row, index] = name
            for size in _indices(row.released):
                depths[size] = max(depths.get(size, 0), index + 1)
        wanted = [(row, index) for row in self.rows for index in _expand(row, depths)]
        missing = [_fill(getattr(row, source), index) for row, index in wanted
                   if (row, index) not in found and row.ours]
        sizes = dict(depths)
        misshapen = [problem for key in wanted if key in found and (
            problem := _match(found[key], tensors[found[key]], key[0].shape, sizes))]
        integer = [f'{name} ({tensors[name].dtype})' for (row, _), name in found.items()
                   if row.shape and not tensors[name].is_floating_point()]
        broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
        problems = {'missing': missing, 'unknown': unknown, 'of a wrong shape': misshapen,
                    'not floating-point': integer, 'not finite (NaN or infinite)': broken}
        if any(problems.values()):
            raise UserError('; '.join(
                f'{len(names)} tensor{"s" * (len(names) > 1)} {what}: {", ".join(names[:3])}'
                + ', ...' * (len(names) > 3) for what, names in problems.items() if names))
        return sizes

    @cached_property
    def _patterns(self) -> dict[str, list[tuple[re.Pattern, Row]]]:
        return {source: [(_compile(name), row) for row in self.rows
                         if (name := getattr(row, source))] for source in ('released', 'ours')}

    def _find(self, name: str, source: str) -> tuple[Row, int | None]:
        for pattern, row in self._patterns[source]:
            if match := pattern.fullmatch(name):
                return row, int(match[1]) if match.groups() else None
        raise KeyError(name)


def _indices(template: str) -> list[str]:
    return re.findall(r'{(\w+)}', template)


def _compile(template: str) -> re.Pattern:
    return re.compile(r'(0|[1-9][0-9]{0,3})'.join(map(re.escape, re.split(r'{\w+}', template))))


def _fill(template: str, index: int | None) -> str:
    return re.sub(r'{\w+}', str(index), template)


def _expand(row: Row, depths: dict[str, int]) -> list[int | None]:
    """The indices of a row's tensors; at least one, so a model without layers is incomplete."""
    return [i for size in _indices(row.released) for i in range(depths.get(size, 1))] or [None]


def _match(name: str, tensor: Tensor, shape: str, sizes: dict[str, int]) -> str | None:
    """Checks a shape, adds sizes not yet known, and describes a mismatch."""
    words, expected = shape.split(), []
    for i, word in enumerate(words):
        factor, size, divisor = re.fullmatch(r'(?:(\d+)\*)?(\w+)(?:/(\d+))?', word).groups()
        if size.isdigit():
            expected.append(int(size))
            continue
        if size not in sizes and word == size and tensor.ndim == len(words):
            sizes[size] = tensor.shape[i]
        expected.append(int(factor or 1) * sizes.get(size, 0) // int(divisor or 1))
    if list(tensor.shape) == expected:
        return None
    return f'{name} is {tuple(tensor.shape)} where the other tensors need {tuple(expected)}'


def _norm(released: str, ours: str | None, dims: str = 'embed_dims') -> list[tuple]:
    return [(f'{released}.{kind}', ours and f'{ours}.{kind}', dims) for kind in ('weight', 'bias')]


def _linear(released: str, ours: str | None, dims: str) -> list[tuple]:
    """A linear layer with bias; ``dims`` are the outputs and the inputs."""
    return [(f'{released}.weight', ours and f'{ours}.weight', dims),
            (f'{released}.bias', ours and f'{ours}.bias', dims.split()[0])]


def _stem() -> list[tuple]:
    widths = ('in_channels', 'embed_dims/8', 'embed_dims/4', 'embed_dims/2', 'embed_dims')
    rows = []
    for i in range(4):
        released, ours = f'to_patch_embedding.proj.{2 * i}', 'backbone.stem'
        norm = (f'{released}.1', f'{ours}.{3 * i + 1}')
        rows += [(f'{released}.0.weight', f'{ours}.{3 * i}.weight',
                  f'{widths[i + 1]} {widths[i]} 3 3'), *_norm(*norm, widths[i + 1])]
        rows += [(f'{norm[0]}.{kind}', f'{norm[1]}.{kind}', widths[i + 1])
                 for kind in ('running_mean', 'running_var')]
        rows += [(f'{norm[0]}.num_batches_tracked', f'{norm[1]}.num_batches_tracked', '')]
    return rows


def _cbsa(released: str, ours: str, prefix: str = '') -> list[tuple]:
    """CBSA; ``prefix`` precedes the names of its own sizes."""
    heads, inner = f'{prefix}num_heads', f'{prefix}inner_dims'
    return [
        (f'{released}.step_rep', f'{ours}.step_rep', f'{heads} 1 1'),
        (f'{released}.step_x', f'{ours}.step_x', f'{heads} 1 1'),
        (f'{released}.proj.weight', f'{ours}.in_proj.weight', f'{inner} embed_dims'),
        *_linear(f'{released}.to_out', f'{ours}.out_proj', f'embed_dims {inner}'),
    ]


def _mssa(released: str, ours: str, out: str, bias: bool = True) -> list[tuple]:
    """CRATE's attention; ``out`` is the released name of the map back to width d."""
    weight, *biases = _linear(f'{released}.{out}', f'{ours}.out_proj', 'embed_dims inner_dims')
    return [(f'{released}.qkv.weight', f'{ours}.in_proj.weight', 'inner_dims embed_dims'),
            weight, *biases * bias]


def _tssa(released: str, ours: str) -> list[tuple]:
    return [(f'{released}.temp', f'{ours}.temperature', 'num_heads 1'),
            *_mssa(released, ours, 'to_out')]


def _classifier(stem: list[tuple], attention: list[tuple], step: list[tuple]) -> Table:
    """A CRATE-like classifier with the given stem, attention, and step after it."""
    released, ours = _LAYER
    return Table([
        ('cls_token', 'backbone.cls_token', '1 1 embed_dims'),
        ('pos_embedding', 'backbone.pos_embed', '1 num_tokens embed_dims'),
        *stem,
        *_norm(f'{released}.0.norm', f'{ours}.norm1'),
        *attention,
        *_norm(f'{released}.1.norm', f'{ours}.norm2'),
        *step,
        *_norm('mlp_head.0', 'backbone.norm'),
        *_linear('mlp_head.1', 'head.fc', 'num_classes embed_dims'),
    ])


_LAYER = ('transformer.layers.{num_layers}', 'backbone.layers.{num_layers}')
_ATTENTION = (f'{_LAYER[0]}.0.fn', f'{_LAYER[1]}.attn')
_LINEAR_STEM = [
    *_norm('to_patch_embedding.1', 'backbone.stem.0', 'patch_dims'),
    *_linear('to_patch_embedding.2', 'backbone.stem.1', 'embed_dims patch_dims'),
    *_norm('to_patch_embedding.3', 'backbone.stem.2'),
]
_ISTA = [(f'{_LAYER[0]}.1.fn.weight', f'{_LAYER[1]}.ista.weight', 'embed_dims embed_dims')]
_ODL = [(f'{_LAYER[0]}.1.fn.{name}', f'{_LAYER[1]}.odl.{name}', 'embed_dims 4*embed_dims')
        for name in ('D', 'D1')]
_PATCH_STEM = [
    ('conv1.weight', 'backbone.stem.weight', 'embed_dims in_channels patch_size patch_size'),
    ('conv1.bias', 'backbone.stem.bias', 'embed_dims'),
]
CBT_CLASSIFIER = _classifier(_stem(), _cbsa(*_ATTENTION), _ISTA)
CRATE_STYLE_CLASSIFIER = _classifier(_stem(), _mssa(*_ATTENTION, 'to_out'), _ISTA)
CRATE_CLASSIFIER = _classifier(_LINEAR_STEM, _mssa(*_ATTENTION, 'to_out.0'), _ISTA)
CRATE_ALPHA_CLASSIFIER = _classifier(
    _PATCH_STEM, _mssa(*_ATTENTION, 'to_out.0', bias=False), _ODL)
TOST_STYLE_CLASSIFIER = _classifier(_stem(), _tssa(*_ATTENTION), _ISTA)


def _vit(ours: dict[str, str], distilled: bool = False) -> Table:
    """A ViT with timm's names; ``ours`` are the library's names of its parts."""
    released, layer = 'blocks.{num_layers}', 'layers.{num_layers}'
    tokens = ['cls_token', 'dist_token'] if distilled else ['cls_token']
    heads = ['head', 'head_dist'] if distilled else ['head']
    return Table([
        *[(token, token, '1 1 embed_dims') for token in tokens],
        ('pos_embed', 'pos_embed', '1 num_tokens embed_dims'),
        ('patch_embed.proj.weight', f'{ours["stem"]}.weight',
         'embed_dims in_channels patch_size patch_size'),
        ('patch_embed.proj.bias', f'{ours["stem"]}.bias', 'embed_dims'),
        *_norm(f'{released}.norm1', f'{layer}.{ours["norm1"]}'),
        (f'{released}.attn.qkv.weight', f'{layer}.attn.{ours["qkv"]}weight',
         '3*embed_dims embed_dims'),
        (f'{released}.attn.qkv.bias', f'{layer}.attn.{ours["qkv"]}bias', '3*embed_dims'),
        *_linear(f'{released}.attn.proj', f'{layer}.attn.{ours["proj"]}', 'embed_dims embed_dims'),
        *_norm(f'{released}.norm2', f'{layer}.{ours["norm2"]}'),
        *_linear(f'{released}.mlp.fc1', f'{layer}.{ours["fc1"]}', 'mlp_dims embed_dims'),
        *_linear(f'{released}.mlp.fc2', f'{layer}.{ours["fc2"]}', 'embed_dims mlp_dims'),
        *_norm('norm', ours['norm']),
        *_linear('pre_logits.fc', None, 'embed_dims embed_dims'),
        *[row for head in heads for row in _linear(head, None, 'num_labels embed_dims')],
    ])


_MMLAB = dict(stem='patch_embed.projection', norm1='ln1', norm2='ln2', fc1='ffn.layers.0.0',
              fc2='ffn.layers.1', norm='ln1')
_MMPRETRAIN = _MMLAB | dict(qkv='qkv.', proj='proj')
MMSEG_VIT = _vit(_MMLAB | dict(qkv='attn.in_proj_', proj='attn.out_proj'))
MMPRETRAIN_VIT = _vit(_MMPRETRAIN)
MMPRETRAIN_DISTILLED_VIT = _vit(_MMPRETRAIN, distilled=True)
PLAIN_VIT = _vit(dict(stem='stem', norm1='norm1', qkv='in_proj.', proj='out_proj', norm2='norm2',
                        fc1='mlp.0', fc2='mlp.2', norm='norm'))

def _tied(released: str, ours: str, prefix: str) -> list[tuple]:
    """MSSA that maps back to width d with the transposed projection."""
    return [(f'{released}.proj', f'{ours}.in_proj.weight', f'{prefix}inner_dims embed_dims'),
            (f'{released}.step_size', f'{ours}.step_x', '1')]


def _decoder(layers: list[tuple], norm: str = 'decoder_norm') -> Table:
    """A mask transformer with the given layers and name of the LayerNorm after them."""
    return Table([
        ('cls_emb', 'class_embed', '1 num_classes embed_dims'),
        *layers,
        *_norm(norm, 'norm'),
        *_norm('mask_norm', 'mask_norm', 'num_classes'),
    ])


def _decoder_layers(attention: Callable, net: str = 'net') -> list[tuple]:
    released, ours = f'{net}.layers.{{decoder_num_layers}}', 'layers.{decoder_num_layers}'
    return [*_norm(f'{released}.norm', f'{ours}.norm1'),
            *attention(f'{released}.fn', f'{ours}.attn', 'decoder_')]


_CROSS = 'cnet.layers.{decoder_num_cross_layers}'
CBT_DECODER = _decoder(_decoder_layers(_cbsa))
DEPICT_SA_DECODER = _decoder(_decoder_layers(_tied))
DEPICT_CA_DECODER = _decoder([
    *_decoder_layers(_tied, 'snet'),
    *_norm(f'{_CROSS}.norm', 'cross_norms.{decoder_num_cross_layers}'),
    *_tied(f'{_CROSS}.fn', 'cross_layers.{decoder_num_cross_layers}', 'decoder_cross_'),
    *_norm('cnorm', 'class_norm'),
], 'snorm')


def _segmenter(decoder: Table, encoder: Table = PLAIN_VIT) -> Table:
    return (encoder.within('encoder.', 'backbone.') + decoder.within('decoder.', 'decode_head.'))


CBT_SEGMENTER = _segmenter(CBT_DECODER)
DEPICT_SA_SEGMENTER = _segmenter(DEPICT_SA_DECODER)
DEPICT_CA_SEGMENTER = _segmenter(DEPICT_CA_DECODER)
# PlainViT has no distillation token, but mmpretrain's ViT does.
DISTILLED_CBT_SEGMENTER = _segmenter(CBT_DECODER, MMPRETRAIN_DISTILLED_VIT)
