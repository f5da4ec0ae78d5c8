"""Training checkpoints hold data only, and lose nothing by it."""
import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub

from cbsa_mm.engine import PlainCheckpointHook


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
