"""Loads a random crop of an image file without decoding more than it needs."""
from io import BytesIO

import numpy as np
from mmengine.fileio import get
from mmpretrain.datasets.transforms import RandomResizedCrop
from mmpretrain.registry import TRANSFORMS
from PIL import Image


@TRANSFORMS.register_module()
class LoadRandomResizedCrop(RandomResizedCrop):
    """mmpretrain's LoadImageFromFile and RandomResizedCrop in one, by Pillow.

    The crop is drawn before the file is decoded, with the same random numbers, and only its own
    pixels are laid out as an array. From a crop of at least twice the size wanted, a JPEG file is
    decoded at a half, a quarter or an eighth, as libjpeg can; its pixels then differ a little.
    Others are as with ``color_type='color_ignore_orientation'`` and ``imdecode_backend='pillow'``.

    Args:
        scale: Size of the result, (height, width) or both.
        scaled_decoding: Whether to decode large crops at a fraction of their size.
        interpolation: 'nearest', 'bilinear', 'bicubic' or 'lanczos'.
        kwargs: Other arguments of mmpretrain's RandomResizedCrop.
    """

    def __init__(self, scale: int | tuple[int, int], scaled_decoding: bool = True,
                 interpolation: str = 'bilinear', **kwargs) -> None:
        super().__init__(scale, interpolation=interpolation, backend='pillow', **kwargs)
        self.scaled_decoding = scaled_decoding
        self.resample = Image.Resampling[interpolation.upper()]

    def transform(self, results: dict) -> dict:
        """Adds ``img`` (H, W, 3) in BGR, ``img_shape`` and ``ori_shape`` to a sample."""
        image = Image.open(BytesIO(get(results['img_path'])))
        width, height = image.size
        # Only the size matters to the draw.
        top, left, rows, columns = self.rand_crop_params(np.broadcast_to(0, (height, width)))
        box = left, top, left + columns, top + rows
        factor = min(rows // self.scale[0], columns // self.scale[1])
        if self.scaled_decoding and factor > 1:
            image.draft('RGB', (width // factor, height // factor))
        if image.size == (width, height):
            image, box = image.crop(box), None
        else:
            across, down = image.width / width, image.height / height
            box = box[0] * across, box[1] * down, box[2] * across, box[3] * down
        image = image.convert('RGB').resize(self.scale[::-1], self.resample, box)
        results['img'] = np.asarray(image)[:, :, ::-1]
        results['img_shape'], results['ori_shape'] = self.scale, (height, width)
        return results
