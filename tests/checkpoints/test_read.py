"""Files from elsewhere are data: what is no checkpoint is refused, and nothing in it is run."""
import collections
import io
import os
import pickle
import tarfile
import zipfile
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cbsa_mm.checkpoints import find_state_dict, read_checkpoint

WEIGHTS = {'a.weight': torch.arange(6.).reshape(2, 3), 'a.bias': torch.ones(2)}


class Harmful:
    """Would make a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path), )


def save(path, kind):
    if kind == 'safetensors':
        save_file(WEIGHTS, path)
    elif kind == 'npz':
        with open(path, 'wb') as file:
            np.savez(file, **{name: tensor.numpy() for name, tensor in WEIGHTS.items()})
    else:
        torch.save(WEIGHTS, path, _use_new_zipfile_serialization=kind == 'zip')


@pytest.mark.parametrize('mmap', [False, True])
@pytest.mark.parametrize('kind', ['zip', 'legacy', 'safetensors', 'npz'])
def test_reads_a_file_by_its_content(kind, mmap, tmp_path):
    save(tmp_path / 'weights', kind)
    found = read_checkpoint(tmp_path / 'weights', mmap=mmap)
    assert set(found) == set(WEIGHTS)
    assert all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'plain'])
@pytest.mark.parametrize('where', ['alone', 'beside weights', 'as a tensor'])
def test_code_in_a_pickle_is_refused_and_does_not_run(kind, where, tmp_path):
    harmful = Harmful(tmp_path / 'created')
    content = {'alone': harmful, 'beside weights': {'state_dict': WEIGHTS, 'args': harmful},
               'as a tensor': collections.OrderedDict(WEIGHTS, extra=harmful)}[where]
    if kind == 'plain':
        (tmp_path / 'x.pth').write_bytes(pickle.dumps(content))
    else:
        torch.save(content, tmp_path / 'x.pth', _use_new_zipfile_serialization=kind == 'zip')
    with pytest.raises(ValueError, match='no code in it was run.*may run code.*only the weights'):
        read_checkpoint(tmp_path / 'x.pth')
    assert not (tmp_path / 'created').exists()


def test_code_in_a_numpy_file_is_refused_and_does_not_run(tmp_path):
    array = np.array([Harmful(tmp_path / 'created')], dtype=object)
    np.savez(tmp_path / 'x.npz', cls=array)
    with pytest.raises(ValueError, match='x.npz is not a checkpoint, or it is damaged'):
        read_checkpoint(tmp_path / 'x.npz')
    assert not (tmp_path / 'created').exists()


def test_names_what_it_would_not_load(tmp_path):
    torch.save({'state_dict': WEIGHTS, 'best': Fraction(1)}, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=r'was rejected.*\(fractions.Fraction\)'):
        read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'safetensors', 'npz'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off(kind, share, tmp_path):
    path = tmp_path / 'weights'
    save(path, kind)
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(ValueError, match='truncated|damaged|not a checkpoint') as error:
        read_checkpoint(path)
    assert 'weights' in str(error.value) and '\n' not in str(error.value)


def archive(path, kind):
    if kind == 'tar':
        with tarfile.open(path, 'w') as file:
            file.addfile(tarfile.TarInfo('weights.pth'))
    else:
        with zipfile.ZipFile(path, 'w') as file:
            file.writestr('notes.txt', 'weights')


@pytest.mark.parametrize('content, message', [
    (b'', 'is empty'),
    (b'\n <!DOCTYPE html><html>Quota exceeded</html>', 'is a web page, not a checkpoint'),
    (b'<html><body>Sign in</body></html>', 'is a web page, not a checkpoint'),
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:1\n', 'Git LFS pointer'),
    (b'\xff\xd8\xff\xe0' + 600 * b'\0', 'is not a checkpoint: neither a PyTorch file'),
    (b'{"a": 1}', 'is not a checkpoint'),
    (b'\x1f\x8b' + 600 * b'\0', 'is an archive, not a checkpoint'),
    (b'\x80\x02' + 100 * b'x', 'rejected|damaged'),
    (b'\x80', 'truncated|damaged'),
    ('tar', 'is an archive, not a checkpoint'),
    ('zip', 'is an archive, not a checkpoint'),
    (pickle.dumps([1, 2]), 'damaged|contains a list|rejected'),
])
def test_what_is_no_checkpoint(content, message, tmp_path):
    path = tmp_path / 'x.pth'
    path.write_bytes(content) if isinstance(content, bytes) else archive(path, content)
    with pytest.raises(ValueError, match=f'x.pth .*({message})'):
        read_checkpoint(path)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / 'x.pth', tmp_path):
        with pytest.raises(ValueError, match='there is no checkpoint'):
            read_checkpoint(path)


def test_a_pytorch_file_without_a_dict(tmp_path):
    torch.save([torch.ones(2)], tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='contains a list, not a state dict'):
        read_checkpoint(tmp_path / 'x.pth')


def test_torchscript_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / 'x.pth')
    for trust in (False, True):
        with pytest.raises(ValueError, match='x.pth is a TorchScript program, not weights'):
            read_checkpoint(tmp_path / 'x.pth', trust=trust)


@pytest.mark.parametrize('mode', ['w', 'w:gz'])
def test_pytorchs_tar_format_is_refused(mode, tmp_path):
    """PyTorch would unpack it; the name of its first entry makes it look like a pickle."""
    with tarfile.open(tmp_path / 'x.pth', mode, format=tarfile.USTAR_FORMAT,
                      encoding='latin-1') as file:
        file.addfile(tarfile.TarInfo('\x80storages'))
    with pytest.raises(ValueError, match='x.pth is an archive, not a checkpoint'):
        read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.parametrize('checkpoint', [
    WEIGHTS, {'state_dict': WEIGHTS, 'epoch': 3}, {'model': WEIGHTS, 'n_cls': 150}])
def test_finds_the_state_dict(checkpoint):
    assert find_state_dict(checkpoint) == WEIGHTS


@pytest.mark.parametrize('checkpoint', [{}, {'epoch': 3}, {'state_dict': {}}, {'model': {'a': 1}}])
def test_no_state_dict(checkpoint):
    with pytest.raises(ValueError, match='there is no state dict, neither under state_dict or'):
        find_state_dict(checkpoint)


def test_devices(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'x.pth')
    assert read_checkpoint(tmp_path / 'x.pth', map_location=None)['a.bias'].device.type == 'cpu'
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(2))
    (tmp_path / 'x.npz').write_bytes(buffer.getvalue())
    assert read_checkpoint(tmp_path / 'x.npz', map_location=None)['a'].device.type == 'cpu'
