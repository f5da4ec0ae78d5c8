"""Files from elsewhere are data: what is no checkpoint is refused, and nothing in it is run."""
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


@pytest.mark.parametrize('mmap', [False, True])
@pytest.mark.parametrize('kind', ['zip', 'legacy', 'safetensors', 'npz'])
def test_reads_a_file_by_its_content(kind, mmap, tmp_path):
    save(tmp_path / 'weights', kind)
    found = read_checkpoint(tmp_path / 'weights', mmap=mmap)
    assert set(found) == set(WEIGHTS)
    assert all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


class Zeros:
    """Is pickled in a few bytes, and unpickled as 64 MiB."""

    def __reduce__(self):
        return bytearray, (2**26, )


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'plain', 'npz'])
def test_code_in_a_file_is_refused_and_does_not_run(kind, tmp_path):
    path, message = tmp_path / 'x.pth', 'no code in it was run.*may run code.*only the weights'
    for harmful in (Harmful(tmp_path / 'created'), Zeros()):
        content = {'state_dict': WEIGHTS, 'args': harmful}
        if kind == 'npz':
            message = 'x.pth is not a checkpoint, or it is damaged'
            with open(path, 'wb') as file:
                np.savez(file, cls=np.array([harmful], dtype=object))
        elif kind == 'plain':
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path, _use_new_zipfile_serialization=kind == 'zip')
        with pytest.raises(ValueError, match=message):
            read_checkpoint(path)
    assert not (tmp_path / 'created').exists()


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'safetensors', 'npz'])
@pytest.mark.parametrize('share', [0.1, 0.99])
def test_a_file_that_is_cut_off(kind, share, tmp_path):
    path = tmp_path / 'weights'
    save(path, kind)
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(ValueError, match='weights .*(truncated|damaged|not a checkpoint)') as error:
        read_checkpoint(path)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('kind', ['zip', 'npz'])
def test_a_small_file_that_would_fill_the_memory(kind, tmp_path):
    """64 MiB of zeros in a file of a few KiB."""
    with zipfile.ZipFile(tmp_path / 'x.pth', 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('a.npy' if kind == 'npz' else 'archive/data.pkl', bytes(2**26))
    with pytest.raises(ValueError, match='x.pth is rejected: it would unpack to 64 MiB'):
        read_checkpoint(tmp_path / 'x.pth')


def write_tar(path):
    """What PyTorch would unpack; its first entry's name makes it look like a pickle."""
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT, encoding='latin-1') as file:
        file.addfile(tarfile.TarInfo('\x80storages'))


@pytest.mark.parametrize('write, message', [
    (lambda path: path.touch(), 'x.pth is empty'),
    (lambda path: path.write_text('\n <!DOCTYPE html><html>Quota exceeded</html>'),
     'x.pth is a web page, not a checkpoint'),
    (lambda path: path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:1\n'),
     'x.pth is a Git LFS pointer'),
    (lambda path: path.write_bytes(b'\xff\xd8\xff\xe0' + 600 * b'\0'),
     'x.pth is not a checkpoint: neither a PyTorch file'),
    (lambda path: torch.save([torch.ones(2)], path), 'x.pth contains a list, not a state dict'),
    (lambda path: torch.jit.script(torch.nn.Linear(2, 2)).save(path),
     'x.pth is a TorchScript program, not weights'),
    (write_tar, 'x.pth is an archive, not a checkpoint'),
    (lambda path: path.mkdir(), 'there is no checkpoint .*x.pth'),
])
@pytest.mark.parametrize('trust', [False, True])
def test_what_is_no_checkpoint(write, message, trust, tmp_path):
    write(tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=message):
        read_checkpoint(tmp_path / 'x.pth', trust=trust)


@pytest.mark.parametrize('checkpoint', [
    WEIGHTS, {'state_dict': WEIGHTS, 'epoch': 3}, {'model': WEIGHTS, 'n_cls': 150}])
def test_finds_the_state_dict(checkpoint):
    assert find_state_dict(checkpoint) == WEIGHTS


@pytest.mark.parametrize('checkpoint, message', [
    ({'epoch': 3}, 'there is no state dict, neither under state_dict or'),
    ({'state_dict': [torch.ones(2)]}, 'there is no state dict'),
    ({'model': {'a': WEIGHTS}}, 'there is no state dict'),
    (WEIGHTS | {'b': torch.ones(2).to_sparse()}, '1 tensor that cannot be weights .*: b'),
    (WEIGHTS | {'b': torch.ones(1).expand(10**12)}, '1 tensor that cannot be weights'),
    ({'a\x1b[2J': torch.ones(2)}, r"control characters: 'a\\x1b\[2J'"),
])
def test_no_state_dict(checkpoint, message):
    with pytest.raises(ValueError, match=message):
        find_state_dict(checkpoint)
