"""Checkpoints are read as data, from wherever they come."""
import http.server
import os
import threading
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import CheckpointLoader

from cbsa_mm.compat import HAS_SAFE_GLOBALS
from cbsa_mm.inference import load_checkpoint, use_safe_loading

WEIGHTS = dict(a=torch.ones(2))


@pytest.fixture
def safe_loading():
    use_safe_loading()  # from here on: tests of tools want no other, either


@pytest.fixture
def server(tmp_path):
    """An http server on a folder: its address."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


class Call:
    """Is pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_downloads_are_read_as_data_too(safe_loading, server, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    torch.save(dict(state_dict=WEIGHTS), tmp_path / 'good.pth')
    torch.save(dict(state_dict=Call(os.mkdir, str(tmp_path / 'created'))), tmp_path / 'bad.pth')
    loaded = CheckpointLoader.load_checkpoint(f'{server}/good.pth', map_location='cpu')
    assert loaded['state_dict']['a'].tolist() == [1, 1]
    assert list((tmp_path / 'hub/checkpoints').glob('*/good.pth'))
    with pytest.raises(ValueError, match='bad.pth was rejected, and no code in it was run'):
        CheckpointLoader.load_checkpoint(f'{server}/bad.pth')
    assert not (tmp_path / 'created').exists()


def test_downloads_are_kept_by_address_and_whole(server, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    for name in 'ab':
        (tmp_path / name).mkdir()
        torch.save(dict(state_dict=dict(name=torch.tensor(ord(name)))), tmp_path / name / 'x.pth')
    for name in 'ab':
        assert load_checkpoint(f'{server}/{name}/x.pth')['state_dict']['name'] == ord(name)
    kept = list((tmp_path / 'hub').rglob('x.pth'))
    for file in (*kept, tmp_path / 'a/x.pth'):  # b's alone remains on the server
        file.write_bytes(file.read_bytes()[:300])
    assert load_checkpoint(f'{server}/b/x.pth')['state_dict']['name'] == ord('b')
    with pytest.raises(ValueError, match='x.pth is truncated'):
        load_checkpoint(f'{server}/a/x.pth')


def test_other_addresses_are_refused(safe_loading):
    for address in ('s3://a/b.pth', 'petrel:s3://a', 'torchvision://resnet50', 'ftp://x'):
        with pytest.raises(ValueError, match='is neither a file nor an http.s. URL: download it'):
            CheckpointLoader.load_checkpoint(address)


def test_what_mmengine_writes_is_data(tmp_path):
    """By itself, without our hook."""
    hub = MessageHub('test_what_mmengine_writes')
    for value in (3., 1.):
        hub.update_scalar('train/loss', value)
    hub.update_info('best_score', np.float32(0.5))
    dataset_meta = dict(classes=('a', 'b'), palette=np.eye(3, dtype=np.uint8)[:2])
    torch.save(dict(state_dict=WEIGHTS, message_hub=hub.state_dict(),
                    meta=dict(dataset_meta=dataset_meta)), tmp_path / 'x.pth')
    if not HAS_SAFE_GLOBALS:
        with pytest.raises(ValueError, match='was rejected, and no code in it was run'):
            load_checkpoint(tmp_path / 'x.pth')
    read = load_checkpoint(tmp_path / 'x.pth', trust=not HAS_SAFE_GLOBALS)
    assert read['message_hub']['log_scalars']['train/loss'].mean() == 2
    assert read['message_hub']['runtime_info']['best_score'] == np.float32(0.5)
    assert read['meta']['dataset_meta']['palette'].tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize('harmful', [
    Call(eval, 'print()'), Call(getattr, np.ndarray, 'tofile'),
    np.array([Call(os.mkdir, 'created')], dtype=object)])
def test_nothing_else_is(harmful, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=WEIGHTS, extra=harmful), 'x.pth')
    with pytest.raises(ValueError, match='was rejected, and no code in it was run'):
        load_checkpoint('x.pth')
    assert os.listdir() == ['x.pth']


@pytest.mark.parametrize('meta, message', [
    ('text', 'in its meta are malformed'),
    (dict(dataset_meta=dict(classes=[1])), 'in its meta are malformed'),
    (dict(dataset_meta=dict(classes=['a'], palette=[[1, 2]])), 'in its meta are malformed'),
])
def test_malformed_content(meta, message, tmp_path):
    torch.save(dict(state_dict=WEIGHTS, meta=meta), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=f'x.pth was rejected: .*{message}'):
        load_checkpoint(tmp_path / 'x.pth')
