"""Training checkpoints hold data only, are read as data, and lose nothing by it."""
import http.server
import os
import threading

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import CheckpointLoader

from cbsa_mm.engine import PlainCheckpointHook, use_safe_loading


@pytest.fixture
def safe_loading():
    schemes = CheckpointLoader._schemes.copy()
    use_safe_loading()
    yield
    CheckpointLoader._schemes = schemes


def test_log_history_survives_as_data(tmp_path):
    hub = MessageHub('test_log_history')
    for value in (3., 2., 1.):
        hub.update_scalar('train/loss', value, 2)
    hub.update_info('best_score', np.float64(0.5))
    palette = np.eye(3, dtype=np.uint8)
    checkpoint = dict(
        meta=dict(iter=3, dataset_meta=dict(classes=('a', 'b'), palette=palette)),
        state_dict={}, message_hub=hub.state_dict(), optimizer={})
    PlainCheckpointHook().before_save_checkpoint(None, checkpoint)
    torch.save(checkpoint, tmp_path / 'x.pth')

    read = torch.load(tmp_path / 'x.pth', weights_only=True)
    PlainCheckpointHook().after_load_checkpoint(None, read)
    assert read['meta']['dataset_meta']['classes'] == ('a', 'b')
    assert read['meta']['dataset_meta']['palette'].tolist() == palette.tolist()
    resumed = MessageHub('test_log_history_resumed')
    resumed.load_state_dict(read['message_hub'])
    assert resumed.get_info('best_score') == 0.5
    ours, theirs = resumed.get_scalar('train/loss'), hub.get_scalar('train/loss')
    assert isinstance(ours, HistoryBuffer)
    for mine, original in zip(ours.data, theirs.data):
        assert mine.tolist() == original.tolist() and mine.dtype == original.dtype
    ours.update(0.)
    assert ours.current() == 0


def test_checkpoints_of_other_origin_pass_through():
    checkpoint = dict(state_dict={}, message_hub=dict(log_scalars=dict(loss=HistoryBuffer())))
    PlainCheckpointHook().after_load_checkpoint(None, checkpoint)
    assert isinstance(checkpoint['message_hub']['log_scalars']['loss'], HistoryBuffer)
    slim = dict(state_dict={})
    PlainCheckpointHook().after_load_checkpoint(None, slim)
    PlainCheckpointHook().before_save_checkpoint(None, slim)
    assert slim == dict(state_dict={})


class Harmful:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path, )


@pytest.fixture
def server(tmp_path):
    """An http server on a folder: its address."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def test_downloads_are_read_as_data_too(safe_loading, server, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    torch.save(dict(state_dict=dict(a=torch.ones(2))), tmp_path / 'good.pth')
    torch.save(dict(state_dict=Harmful(tmp_path / 'created')), tmp_path / 'bad.pth')
    loaded = CheckpointLoader.load_checkpoint(f'{server}/good.pth', map_location='cpu')
    assert loaded['state_dict']['a'].tolist() == [1, 1]
    assert (tmp_path / 'hub/checkpoints/good.pth').exists()
    with pytest.raises(ValueError, match='bad.pth was refused, and nothing in it was run'):
        CheckpointLoader.load_checkpoint(f'{server}/bad.pth')
    assert not (tmp_path / 'created').exists()


@pytest.mark.parametrize('address', ['s3://a/b.pth', 'torchvision://resnet50', 'modelzoo://x'])
def test_other_addresses_are_refused(address, safe_loading):
    with pytest.raises(ValueError, match='is neither a file nor an http.s. address: download it'):
        CheckpointLoader.load_checkpoint(address)
