"""The CBT decoder on encoders of mmseg, which differ from its width."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import cbsa_mm  # noqa: F401


@pytest.mark.parametrize('several', [False, True])
@pytest.mark.parametrize('widths, backbone', [
    ([64, 128, 256, 512], dict(type='ResNet', depth=18)),
    ([96, 192, 384, 768], dict(type='SwinTransformer')),
], ids=['ResNet', 'Swin'])
def test_trains_and_predicts(widths, backbone, several):
    init_default_scope('mmseg')
    maps = dict(in_channels=widths[-1])
    if several:
        maps = dict(in_channels=widths, in_index=[0, 1, 2, 3], input_transform='resize_concat')
    model = MODELS.build(dict(
        type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor'),
        backbone=backbone, test_cfg=ConfigDict(mode='whole'),
        decode_head=dict(type='CBTMaskTransformerHead', channels=256, num_classes=3,
                         attn_cfg=dict(grid_size=2), **maps)))
    images = torch.randn(2, 3, 64, 64)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(3, (1, 64, 64))),
                             metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
               for _ in images]
    model.loss(images, samples)['decode.loss_ce'].backward()
    assert all(p.grad.isfinite().all() for p in model.decode_head.parameters())
    predicted = model.eval().predict(images, samples)
    assert [tuple(sample.pred_sem_seg.data.shape) for sample in predicted] == [(1, 64, 64)] * 2
