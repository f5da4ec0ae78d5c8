"""Keeps features of images in files, for decoders on a frozen encoder."""
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

import torch
from torch import Tensor

from cbsa_mm.checkpoints import write_whole


class FeatureCache:
    """Features by the content of the images, so that each image is encoded once.

    This pays if the same pixels come again: in trainings on fixed crops, in several of them, and in
    their validation; the operating system keeps files in memory as it can. Images are recognised by
    their values, so that with random augmentation nothing wrong is returned, but nothing is gained.
    A mirrored image is another. By rounding, features depend on the batch and the precision that
    they were computed in.

    Args:
        folder: Where the files are, of all encoders and runs. It may be deleted at any time
            between them.
        gib: GiB of files in it; once it is full, no more are kept. An image takes 4 bytes for each
            value of its feature maps.
    """

    def __init__(self, folder: str, gib: float = 10) -> None:
        self.folder = Path(folder)
        self.room = int(gib * 2**30) - sum(
            file.stat().st_size for file in self.folder.glob('*.pth'))

    def __call__(self, encode: Callable[[Tensor], tuple[Tensor, ...]], image: Tensor,
                 identity: bytes) -> tuple[Tensor, ...]:
        """Gives the feature maps of images.

        Args:
            encode: Computes those that are not there.
            image: (B, C, H, W).
            identity: What tells apart the encoders whose features are in one folder, of at most 64
                bytes.

        Raises:
            UserError: If a file can't be written.
        """
        files = [self.folder / f'{blake2b(pixels.tobytes(), key=identity).hexdigest()}.pth'
                 for pixels in image.cpu().numpy()]
        found = {i: torch.load(file, image.device, weights_only=True)
                 for i, file in enumerate(files) if file.is_file()}
        new = [i for i in range(len(files)) if i not in found]
        found |= zip(new, zip(*encode(image[new]))) if new else {}
        for i in new:
            size = sum(x.numel() * x.element_size() for x in found[i])
            if size <= self.room:
                self.room -= size
                self.folder.mkdir(parents=True, exist_ok=True)
                maps = [x.cpu().clone() for x in found[i]]
                own = files[i].with_suffix(f'.{uuid4().hex}.pth')  # others may write the same
                write_whole(own, lambda file, maps=maps: torch.save(maps, file))
                own.replace(files[i])
        return tuple(map(torch.stack, zip(*(found[i] for i in range(len(files))))))
