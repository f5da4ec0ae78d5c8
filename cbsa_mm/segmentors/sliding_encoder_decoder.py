"""mmseg's EncoderDecoder with the sliding windows of Segmenter."""
import torch.nn.functional as F
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class SlidingEncoderDecoder(EncoderDecoder):
    """mmseg's EncoderDecoder, but all sliding windows have the size ``test_cfg.crop_size``.

    Smaller images are first enlarged to that size, as in Segmenter's and CBSA's released tests
    (``segm/model/utils.py``, resize); mmseg shrinks the window instead. This matters most for
    multi-scale tests: at a ratio of 0.5 every image is smaller than the window.
    """

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Averages the logits of windows.

        Args:
            inputs: Normalised images (B, C, H, W).
            batch_img_metas: Their metainfo, as in mmseg.

        Returns:
            Logits (B, num_classes, H', W'), at the enlarged size if mmseg then resizes them to
            the original one, as released.
        """
        size, meta = inputs.shape[2:], batch_img_metas[0]
        logits = super().slide_inference(enlarge(inputs, self.test_cfg.crop_size), batch_img_metas)
        padding = meta.get('img_padding_size', meta.get('padding_size', ()))
        # mmseg removes padding by the given size, and does not resize if it is the original one.
        if logits.shape[2:] != size and (any(padding) or tuple(meta['ori_shape']) == tuple(size)):
            logits = F.interpolate(logits, size, mode='bilinear')
        return logits


def enlarge(image: Tensor, window: tuple[int, int]) -> Tensor:
    """Enlarges images (B, C, H, W) bilinearly, keeping the aspect ratio, until a window fits."""
    (height, width), (rows, columns) = image.shape[2:], window
    if height >= rows and width >= columns:
        return image
    if height * columns <= width * rows:  # the height is relatively smaller
        size = rows, max(int(width / height * rows), columns)
    else:
        size = max(int(height / width * columns), rows), columns
    return F.interpolate(image, size, mode='bilinear')
