from pathlib import Path

import pytest

from cbsa_mm.checkpoints import check_variant, read_variant

PATH = Path('folder/variant.yml')
TEXT = '''
net_kwargs:
  d_model: 384
  decoder: {dropout: 0.1, n_heads: 6, n_layers: 3, name: mask_transformer}
  distilled: false
  image_size: !!python/tuple
  - 512
  - 512
  n_cls: 150
  n_heads: 6
  n_layers: 12
  patch_size: 16
'''
SIZES = dict(embed_dims=384, num_layers=12, patch_size=16, num_classes=150, decoder_num_layers=3,
             num_tokens=1025)


@pytest.mark.parametrize('text, message', [
    ('net_kwargs: !!python/object/apply:os.mkdir [created]', 'variant.yml cannot be read: could'),
    ('net_kwargs: 3', 'has no net_kwargs'),
    ('net_kwargs: {image_size: 512}', 'image_size must be two positive integers, got 512'),
    ('net_kwargs: {decoder: {n_layers: 0}}', 'n_layers must be a positive integer, got 0'),
])
def test_refuses_what_is_not_plain_data(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_variant(text, PATH)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('old, new, message', [
    ('d_model: 384', 'd_model: 192', 'd_model is 192 there and 384 in the checkpoint'),
    ('n_layers: 3', 'n_layers: 2', 'decoder.n_layers is 2 there and 3'),
    ('distilled: false', 'distilled: true', 'distilled is True there and False'),
    ('- 512', '- 640', 'image_size, in patches is 1280 there and 1024'),
])
def test_tells_the_variant_of_another_checkpoint(old, new, message):
    net_kwargs = read_variant(TEXT.replace(old, new, 1), PATH)
    with pytest.raises(ValueError, match=f'belongs to another checkpoint: .*{message}'):
        check_variant(net_kwargs, SIZES, False, PATH)
