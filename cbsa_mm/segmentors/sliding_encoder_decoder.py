"""mmseg's EncoderDecoder with the sliding windows of Segmenter."""
import torch.nn.functional as F
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class SlidingEncoderDecoder(EncoderDecoder):
    """mmseg's EncoderDecoder, whose sliding windows all have the size ``test_cfg.crop_size``.

    An image below that size is enlarged to it first, as Segmenter's and CBSA's released tests do
    (``segm/model/utils.py``, resize); mmseg lets the window shrink. Multi-scale tests differ most:
    at a ratio of 0.5 every image is below the window.
    """

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Averages the logits of windows.

        Args:
            inputs: Normalised images (B, C, H, W).
            batch_img_metas: Their metainfo, as mmseg makes it.

        Returns:
            Logits (B, num_classes, H', W'), at the enlarged size where mmseg is to bring them to
            the original one, as released.
        """
        size, meta = inputs.shape[2:], batch_img_metas[0]
        logits = super().slide_inference(enlarge(inputs, self.test_cfg.crop_size), batch_img_metas)
        padding = meta.get('img_padding_size', meta.get('padding_size', ()))
        # mmseg cuts off padding by the given size, and resizes nothing that has its original one.
        if logits.shape[2:] != size and (any(padding) or tuple(meta['ori_shape']) == tuple(size)):
            logits = F.interpolate(logits, size, mode='bilinear')
        return logits


def enlarge(image: Tensor, window: tuple[int, int]) -> Tensor:
    """Enlarges images (B, C, H, W) bilinearly, with their aspect ratio, until a window fits in."""
    (height, width), (rows, columns) = image.shape[2:], window
    if height >= rows and width >= columns:
        return image
    if height * columns <= width * rows:  # the height is what lacks most
        size = rows, max(int(width / height * rows), columns)
    else:
        size = max(int(height / width * columns), rows), columns
    return F.interpolate(image, size, mode='bilinear')
