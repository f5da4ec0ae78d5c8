"""Files from elsewhere are data: what is no checkpoint is refused, and nothing in it is run."""
import collections
import os
import pickle
import tarfile
import zipfile

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


@pytest.mark.parametrize('map_location', ['cpu', None])
@pytest.mark.parametrize('mmap', [False, True])
@pytest.mark.parametrize('kind', ['zip', 'legacy', 'safetensors', 'npz'])
def test_reads_a_file_by_its_content(kind, mmap, map_location, tmp_path):
    save(tmp_path / 'weights', kind)
    found = read_checkpoint(tmp_path / 'weights', map_location, mmap)
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


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'safetensors', 'npz'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.99])
def test_a_file_that_is_cut_off(kind, share, tmp_path):
    path = tmp_path / 'weights'
    save(path, kind)
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(ValueError, match='weights .*(truncated|damaged|not a checkpoint)') as error:
        read_checkpoint(path)
    assert '\n' not in str(error.value)


def pack(path, kind):
    """64 MiB of zeros in a file of a few KiB."""
    with open(path, 'wb') as file:
        if kind == 'npz':
            np.savez_compressed(file, cls=np.zeros(2**24, np.float32))
            return
    torch.save(dict(a=torch.zeros(2**24)), path)
    with zipfile.ZipFile(path) as plain:
        entries = {name: plain.read(name) for name in plain.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries.items():
            packed.writestr(name, content)


@pytest.mark.parametrize('mmap', [False, True])
@pytest.mark.parametrize('kind', ['zip', 'npz'])
def test_a_small_file_that_would_fill_the_memory(kind, mmap, tmp_path):
    pack(tmp_path / 'x.pth', kind)
    with pytest.raises(ValueError, match='x.pth is rejected: it would unpack to 64 MiB'):
        read_checkpoint(tmp_path / 'x.pth', mmap=mmap)


class Zeros:
    """Is pickled in a few bytes, and unpickled as 64 MiB."""

    def __reduce__(self):
        return bytearray, (2**26, )


@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('zipped', [False, True])
def test_a_pickle_that_would_fill_the_memory(zipped, protocol, tmp_path):
    torch.save(dict(WEIGHTS, zeros=Zeros()), tmp_path / 'x.pth', pickle_protocol=protocol,
               _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r'more than tensors and .*\(builtins.bytearray\)'):
        read_checkpoint(tmp_path / 'x.pth')


def write_tar(path, mode='w', name='weights.pth'):
    with tarfile.open(path, mode, format=tarfile.USTAR_FORMAT, encoding='latin-1') as file:
        file.addfile(tarfile.TarInfo(name))


def write_zip(path):
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('notes.txt', 'weights')


def write_pytorchs_tar(path):
    """What PyTorch would unpack; its first entry's name makes it look like a pickle."""
    write_tar(path, name='\x80storages')


@pytest.mark.parametrize('write, message', [
    (lambda path: path.touch(), 'is empty'),
    (lambda path: path.write_text('\n <!DOCTYPE html><html>Quota exceeded</html>'),
     'is a web page, not a checkpoint'),
    (lambda path: path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:1\n'),
     'is a Git LFS pointer'),
    (lambda path: path.write_bytes(b'\xff\xd8\xff\xe0' + 600 * b'\0'),
     'is not a checkpoint: neither a PyTorch file'),
    (lambda path: path.write_bytes(b'\x80'), 'is not a checkpoint, or it is damaged'),
    (lambda path: torch.save([torch.ones(2)], path), 'contains a list, not a state dict'),
    (lambda path: torch.jit.script(torch.nn.Linear(2, 2)).save(path),
     'is a TorchScript program, not weights'),
    (write_zip, 'is an archive, not a checkpoint'),
    (write_tar, 'is an archive, not a checkpoint'),
    (write_pytorchs_tar, 'is an archive, not a checkpoint'),
    (lambda path: write_tar(path, 'w:gz'), 'is an archive, not a checkpoint'),
    (lambda path: path.mkdir(), ''),
    (lambda path: None, ''),
])
@pytest.mark.parametrize('trust', [False, True])
def test_what_is_no_checkpoint(write, message, trust, tmp_path):
    write(tmp_path / 'x.pth')
    expected = f'x.pth {message}' if message else 'there is no checkpoint .*x.pth'
    with pytest.raises(ValueError, match=expected):
        read_checkpoint(tmp_path / 'x.pth', trust=trust)


@pytest.mark.parametrize('checkpoint', [
    WEIGHTS, {'state_dict': WEIGHTS, 'epoch': 3}, {'model': WEIGHTS, 'n_cls': 150}])
def test_finds_the_state_dict(checkpoint):
    assert find_state_dict(checkpoint) == WEIGHTS


@pytest.mark.parametrize('checkpoint', [
    {}, {'epoch': 3}, {'state_dict': {}}, {'state_dict': [torch.ones(2)]}, {1: torch.ones(2)},
    {'model': {'a': 1}}, {'model': {'a': WEIGHTS}}])
def test_no_state_dict(checkpoint):
    with pytest.raises(ValueError, match='there is no state dict, neither under state_dict or'):
        find_state_dict(checkpoint)


@pytest.mark.parametrize('tensor', [
    torch.ones(2, dtype=torch.cfloat), torch.ones(2).to_sparse(), torch.ones(2, device='meta'),
    torch.ones(1).expand(10**12)])
def test_tensors_that_are_no_weights(tensor):
    with pytest.raises(ValueError, match='1 tensor that cannot be weights .*: b'):
        find_state_dict(WEIGHTS | {'b': tensor})


def test_names_that_would_control_the_terminal():
    with pytest.raises(ValueError, match=r"control characters: 'a\\x1b\[2J'"):
        find_state_dict({'a\x1b[2J': torch.ones(2)})
