"""Checkpoints of any size convert and come back bit by bit; damaged ones end with one message."""
import io

import numpy as np
import pytest
import released_models as models
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save as save_safetensors

from cbsa_mm.checkpoints import convert, describe, find_state_dict, read_checkpoint, restore
from cbsa_mm.checkpoints.families import FAMILIES
from cbsa_mm.errors import UserError

LAYOUTS = {f'{family.title} for {library}': (family, library)
           for family in FAMILIES for library in family.tables}
LENGTHS = st.integers(1, 9)


@st.composite
def checkpoints(draw):
    """A family, a library that it converts for, and random tensors of random sizes."""
    family, library = LAYOUTS[draw(st.sampled_from(list(LAYOUTS)))]
    heads, decoder_heads = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sizes = dict(
        embed_dims=8 * heads, num_heads=heads, head_dims=8, inner_dims=heads * draw(LENGTHS),
        num_layers=draw(st.integers(1, 12)), patch_size=draw(st.integers(1, 4)),
        patch_dims=draw(LENGTHS), in_channels=draw(st.integers(1, 4)), mlp_dims=draw(LENGTHS),
        num_tokens=draw(st.integers(3, 9)), num_classes=draw(LENGTHS), num_labels=draw(LENGTHS),
        decoder_num_layers=draw(st.integers(1, 11)), decoder_num_heads=decoder_heads,
        decoder_inner_dims=decoder_heads * draw(LENGTHS),
        decoder_num_cross_layers=draw(st.integers(1, 3)), decoder_cross_inner_dims=draw(LENGTHS))
    return family, library, models.make(family.jax or family.tables[library], **sizes)


@given(checkpoints(), st.sampled_from(['', 'module.']),
       st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]))
def test_conversion_comes_back_bit_by_bit(checkpoint, prefix, dtype):
    family, library, weights = checkpoint
    weights = {prefix + name: tensor.to(dtype) if tensor.ndim else tensor
               for name, tensor in weights.items()}
    converted = convert(weights, library)
    assert converted.family is family
    back_family, back = restore(converted.state_dict, converted.released)
    assert back_family is family
    assert_same(back, weights)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype and torch.equal(ours[name], tensor), name


RELEASED = {
    'classifier': models.make_classifier(8, 2, 2, classes=3, side=32),
    'segmenter': models.make_segmenter(8, 1, 1, side=32, classes=3),
    'vit': models.make_vit(8, 1, 5),
    'jax': models.make_augreg(8, 1, 2, 5),
}
VALUES = {
    'same': torch.clone, 'complex': lambda t: t.to(torch.cfloat),
    'sparse': lambda t: t.flatten().float().to_sparse(), 'meta': lambda t: t.to('meta'),
    'quantized': lambda t: torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8),
    'huge': lambda t: t.new_zeros(1).expand(10**12), 'nan': lambda t: t * float('nan'),
    'deeper': lambda t: t[None], 'none': lambda t: t.new_zeros(0), 'integer': torch.Tensor.long,
    'shorter': lambda t: t.flatten()[:-1], 'text': lambda t: 'text', 'nested': lambda t: {'a': t},
}
def attempt(function, *args, **kwargs):
    """The result, or None where the user is told in one line why there is none."""
    try:
        return function(*args, **kwargs)
    except UserError as error:
        assert str(error) and '\n' not in str(error) and len(str(error)) < 2000
        return None


@given(st.sampled_from(list(RELEASED)), st.integers(0, 99), st.sampled_from(list(VALUES)),
       st.sampled_from(['{}', 'module.{}', '{}.x', '', None]), st.booleans())
def test_what_is_converted_is_whole(family, index, value, name, stays):
    content = dict(RELEASED[family])
    old = sorted(content)[index % len(content)]
    new = VALUES[value](content[old])
    if not stays:
        del content[old]
    content[name and name.format(old)] = new
    weights = attempt(find_state_dict, dict(state_dict=content))
    converted = weights and attempt(convert, weights)
    if converted:
        assert all(tensor.isfinite().all() for tensor in weights.values())
        assert_same(restore(converted.state_dict, converted.released)[1], weights)
        attempt(describe, converted)


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return tmp_path_factory.mktemp('fuzz') / 'x.pth'


def files():
    """A small file of each kind, as bytes."""
    weights = {k: v for k, v in RELEASED['vit'].items() if 'attn' not in k}
    for is_zip in (True, False):
        torch.save(dict(state_dict=weights, meta=dict(epoch=3)), file := io.BytesIO(),
                   _use_new_zipfile_serialization=is_zip)
        yield file.getvalue()
    yield save_safetensors(weights)
    np.savez(file := io.BytesIO(), **{k: v.numpy() for k, v in weights.items()})
    yield file.getvalue()


FILES = list(files())


@st.composite
def damaged(draw, content):
    """Bytes with parts overwritten, cut out or put in; mostly at the beginning or the end."""
    for _ in range(draw(st.integers(1, 3))):
        n = len(content)
        start = draw(st.integers(0, n) | st.integers(0, min(n, 600))
                     | st.integers(max(n - 600, 0), n))
        end = min(n, start + draw(st.sampled_from([0, 1, 2, 9, n])))
        content = content[:start] + draw(st.binary(max_size=9)) + content[end:]
    return content


@given(st.sampled_from(FILES).flatmap(damaged), st.booleans())
def test_what_is_read_is_data(path, content, mmap):
    path.write_bytes(content)
    checkpoint = attempt(read_checkpoint, path, mmap=mmap)
    weights = checkpoint and attempt(find_state_dict, checkpoint)
    if weights:
        assert all(isinstance(tensor, torch.Tensor) for tensor in weights.values())
        attempt(convert, weights)
