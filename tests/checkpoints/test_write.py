import os
import stat

import pytest
import torch

from cbsa_mm.checkpoints import read_checkpoint, write_checkpoint, write_whole


@pytest.mark.parametrize('name', ['x.pth', 'x.safetensors', 'x.npz', 'folder/x.pth.tar'])
def test_writes_what_is_read(name, tmp_path):
    weights = {'a': torch.arange(6.).reshape(2, 3),
               'stem': torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)}
    write_checkpoint(tmp_path / name, weights)
    read = read_checkpoint(tmp_path / name)
    assert all(torch.equal(read[key], weights[key]) for key in weights)
    assert os.listdir((tmp_path / name).parent) == [(tmp_path / name).name]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'x.pth'
    path.write_text('old')

    def interrupted(file):
        file.write_text('half')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, interrupted)
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['x.pth']
