"""A data preprocessor for tests that spoils one image."""
from mmengine.registry import MODELS
from mmseg.models import SegDataPreProcessor


@MODELS.register_module()
class BrokenImage(SegDataPreProcessor):
    """Makes an image of the fourth training batch NaN."""

    batches = 0

    def forward(self, data, training=False):
        data = super().forward(data, training)
        self.batches += training
        if training and self.batches == 4:
            data['inputs'][0] = float('nan')
        return data
