"""Encoders of timm, such as DINOv2, DINOv3 and SigLIP 2, tuned or frozen."""
import textwrap
from collections.abc import Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from typing import Any

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from cbsa_mm.checkpoints import find_state_dict, read_checkpoint
from cbsa_mm.compat import is_exporting
from cbsa_mm.errors import PretrainedError, UserError
from cbsa_mm.layers import AdaptedMHSA, replace_attention
from cbsa_mm.layers.stem import pad_to_patches

from .feature_cache import FeatureCache

PRECISIONS = (None, 'bfloat16', 'float16')
# How models that could take one size of images are told to take any; the first that a model knows.
ANY_SIZE = (dict(dynamic_img_size=True), dict(strict_img_size=False), {})


@MODELS.register_module()
class TimmEncoder(BaseModule):
    """An encoder of timm as a backbone: feature maps of its blocks or stages.

    Images may have any size. They are padded with zeros to whole patches, and the maps are cut to
    the image again; class and register tokens are left out. Position embeddings keep the grid that
    they were trained for, and are resized to each image's. timm is imported when one is built.

    The pretrained weights come when the model is initialized or loads a checkpoint. Those of a
    frozen encoder are buffers: neither optimizer nor, unless ``keep_weights`` is set, checkpoints
    have them, so that the checkpoint of a segmenter holds its decoder alone.

    Args:
        model_name: timm's name, such as 'vit_small_patch14_reg4_dinov2.lvd142m'.
        pretrained: Whether to start from timm's weights of that name, from the Hugging Face Hub;
            or a file with weights for this model.
        in_channels: Channels of the image. Pretrained weights of others than three are made of
            those for RGB.
        img_size: Height and width, or side, of the images that tools take if none is given.
        out_indices: Blocks of a ViT, or stages of others, whose output is returned, in ascending
            order; negative ones are counted from the end. A ViT's final norm is applied to each.
        frozen: Whether to run the encoder in evaluation mode, without gradients.
        keep_weights: Whether checkpoints have the weights of a frozen encoder.
        precision: Of a frozen encoder: 'bfloat16' or 'float16'; by default as the rest of the
            model. Its features are float32, and so are exported models.
        cache_cfg: Arguments of :class:`FeatureCache`, by which a frozen encoder encodes an image
            once, such as ``dict(folder='work_dirs/features')``; for trainings without random
            augmentation.
        frozen_stages: -1 to train all; 0 to freeze the stem; n to freeze n blocks as well.
        drop_path_rate: Stochastic depth, as in timm.
        with_cp: Whether to recompute the blocks in the backward pass, which saves memory.
        adapt_cfg: Arguments of :func:`cbsa_mm.layers.replace_attention`, such as
            ``dict(grid_size=8)``, by which CBSA takes over the projections of a ViT's attention, as
            in :class:`AdaptedViT`.

    Raises:
        ValueError: If timm is not installed or can't build the model, or an argument is invalid.
    """

    def __init__(self,
                 model_name: str,
                 pretrained: bool | str = True,
                 in_channels: int = 3,
                 img_size: int | Sequence[int] = 512,
                 out_indices: int | Sequence[int] = -1,
                 frozen: bool = False,
                 keep_weights: bool = False,
                 precision: str | None = None,
                 cache_cfg: dict | None = None,
                 frozen_stages: int = -1,
                 drop_path_rate: float = 0.,
                 with_cp: bool = False,
                 adapt_cfg: dict | None = None) -> None:
        super().__init__()
        tuning = dict(frozen_stages=frozen_stages >= 0, drop_path_rate=drop_path_rate > 0,
                      with_cp=with_cp)
        freezing = dict(keep_weights=keep_weights, precision=precision, cache_cfg=cache_cfg)
        if unused := [key for key, used in (tuning if frozen else freezing).items() if used]:
            raise ValueError(f'{", ".join(unused)}: no use with frozen={frozen}, leave it out')
        if precision not in PRECISIONS:
            raise ValueError(f'precision must be one of {PRECISIONS}, got {precision!r}')
        if frozen and not (pretrained or keep_weights):
            raise ValueError('frozen=True with pretrained=False: the random weights would be lost, '
                             'since checkpoints lack them; set pretrained or keep_weights=True')
        self.model_name, self.pretrained, self.in_channels = model_name, pretrained, in_channels
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        self.frozen, self.frozen_stages = frozen, frozen_stages
        self.precision = getattr(torch, precision) if precision else None
        self.cache = FeatureCache(**cache_cfg) if cache_cfg else None
        self.loaded, self.adapt_cfg = not pretrained, adapt_cfg
        self.encoder = self._build(drop_path_rate=drop_path_rate or None)
        info = self.encoder.feature_info
        self.out_indices = self._resolve_out_indices(out_indices, len(info))
        self.out_channels = tuple(info[i]['num_chs'] for i in self.out_indices)
        self.strides = tuple(info[i]['reduction'] for i in self.out_indices)
        self.patch_size = self.strides[-1]
        self.encoder.prune_intermediate_layers(list(self.out_indices), prune_norm=False)
        self.mean, self.std = ([255 * x for x in self.encoder.pretrained_cfg[key]]
                               for key in ('mean', 'std'))  # of pixels from 0 to 255, RGB
        if with_cp:
            self.encoder.set_grad_checkpointing()
        self.num_frozen = sum(p.numel() for p in self.encoder.parameters()) if frozen else 0
        if frozen:
            from timm.layers import freeze_batch_norm_2d
            self.encoder = freeze_batch_norm_2d(self.encoder)  # which no process synchronizes
            make_buffers(self.encoder, persistent=keep_weights)
        elif frozen_stages >= 0:
            for name, parameter in self.encoder.named_parameters():
                parameter.requires_grad_(self._depths[name] > frozen_stages)
        self.train()

    def _build(self, **kwargs: Any) -> nn.Module:
        """Builds timm's model, for images of any size."""
        try:
            import timm
        except ImportError as error:
            raise ValueError("TimmEncoder needs timm: pip install 'cbsa-mm[foundation]'") from error
        for any_size in ANY_SIZE:
            try:
                model = timm.create_model(
                    self.model_name, in_chans=self.in_channels, **any_size, **kwargs)
                if self.adapt_cfg is not None:
                    replace_attention(model, AdaptedMHSA, **self.adapt_cfg)
                if isinstance(getattr(model, 'rope', None), timm.layers.RotaryEmbeddingDinoV3):
                    model.rope = ExportableRope(model.rope)
                return model
            except Exception as error:  # timm's are of many kinds
                reason = error
                if not any(key in str(error) for key in any_size):
                    break
        known = timm.list_models() + timm.list_pretrained()
        close = get_close_matches(self.model_name, known, 3)
        raise ValueError(f"timm {timm.__version__} can't build {self.model_name!r} ({reason})"
                         + (f': did you mean {" or ".join(close)}?' if close else '')) from reason

    def init_weights(self) -> None:
        """Loads the pretrained weights; without, timm's random ones stay.

        Raises:
            PretrainedError: If they can't be had, or do not fit.
        """
        if self.loaded:
            return
        kwargs, remedy = dict(pretrained=True), (
            'without a connection to huggingface.co, download its model.safetensors elsewhere, and '
            'give the file, --cfg-options model.backbone.pretrained=FILE')
        try:
            if isinstance(self.pretrained, str):
                remedy = f'is {self.pretrained} of this model?'
                kwargs |= self._read_pretrained()
            full = self._build(**kwargs)  # as it was trained, so that all tensors must be there
        except ValueError as error:
            cause = error.__cause__ or error
            reason = textwrap.shorten(f'{type(cause).__name__}: {cause}', 200)
            raise PretrainedError(f"the weights of {self.model_name} can't be loaded ({reason}): "
                                  f'{remedy}') from error
        tensors = dict(chain(full.named_parameters(), full.named_buffers()))
        with torch.no_grad():
            for name, tensor in chain(self.encoder.named_parameters(),
                                      self.encoder.named_buffers()):
                tensor.copy_(tensors[name])
        self.loaded = True
        self.__dict__.pop('_identity', None)

    def _read_pretrained(self) -> dict:
        """timm's arguments for a model with the weights of a file, with classifier or without."""
        source = dict(state_dict=find_state_dict(read_checkpoint(self.pretrained)))
        classifier = self.encoder.pretrained_cfg.get('classifier')
        if classifier and f'{classifier}.weight' not in source['state_dict']:
            source['num_classes'] = 0
        return dict(pretrained_cfg_overlay=source, num_classes=source.get('num_classes'))

    def _load_from_state_dict(self, *args) -> None:
        """Gets the weights that a checkpoint lacks."""
        self.__dict__.pop('_identity', None)
        if self.frozen and not self.encoder.state_dict():
            self.init_weights()
        super()._load_from_state_dict(*args)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encodes images.

        Args:
            image: (B, in_channels, H, W), of any height and width.

        Returns:
            Feature maps (B, d, ceil(H / stride), ceil(W / stride)), one for each of
            ``out_indices``.

        Raises:
            UserError: If the images have a different number of channels.
        """
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise UserError(f'TimmEncoder with in_channels={self.in_channels} takes images of '
                            f'shape (B, {self.in_channels}, H, W), got {tuple(image.shape)}')
        if not self.frozen:
            return self._encode(image)
        exporting = is_exporting()
        low = self.precision and not exporting
        with torch.no_grad(), (torch.autocast(image.device.type, self.precision) if low
                               else nullcontext()):
            if self.cache is None or exporting or image.is_meta:
                return self._encode(image)
            return self.cache(self._encode, image, self._identity)

    def _encode(self, image: Tensor) -> tuple[Tensor, ...]:
        height, width = image.shape[2:]
        try:
            maps = self.encoder.forward_intermediates(
                pad_to_patches(image, self.patch_size), indices=list(self.out_indices), norm=True,
                output_fmt='NCHW', intermediates_only=True)
        except AssertionError as error:  # timm's, of what some models lack
            raise UserError(f'{self.model_name} of timm is no encoder for images of {height} x '
                            f'{width} pixels ({error})') from error
        # ONNX divides towards zero, so there are no negative numbers.
        maps = [x[:, :, :(height + stride - 1) // stride, :(width + stride - 1) // stride]
                for x, stride in zip(maps, self.strides)]
        return tuple(x.float() if self.frozen else x for x in maps)

    @cached_property
    def _identity(self) -> bytes:
        """Digest of what determines the features of a frozen encoder."""
        digest = blake2b(repr((self.model_name, self.out_indices, self.precision)).encode())
        for tensor in self.encoder.buffers():
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.digest()

    def train(self, mode: bool = True) -> 'TimmEncoder':
        """Sets the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self.encoder.modules():
            parameters = [*module.parameters()]
            if self.frozen or parameters and not any(p.requires_grad for p in parameters):
                module.eval()
        return self

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Returns the depth of a parameter for layer-wise learning rate decay.

        Args:
            param_name: Name of the parameter, including ``prefix``.
            prefix: Prefix of the backbone's names, such as 'backbone.'.

        Returns:
            Depth and number of depths: 0 for the stem, i + 1 for block i, the last for everything
            after the encoder. A final norm is counted to the last block, as in timm.
        """
        num_depths = max(self._depths.values(), default=-1) + 2
        name = param_name.removeprefix(f'{prefix}encoder.')
        return self._depths.get(name, num_depths - 1), num_depths

    @cached_property
    def _depths(self) -> dict[str, int]:
        """Depths of the encoder's parameters."""
        from timm.models import group_parameters
        matcher = self.encoder.group_matcher(coarse=False)
        return group_parameters(self.encoder, matcher, reverse=True)

    @staticmethod
    def _resolve_out_indices(out_indices: int | Sequence[int], count: int) -> tuple[int, ...]:
        given = [out_indices] if isinstance(out_indices, int) else [*out_indices]
        found = tuple(i % count for i in given if -count <= i < count)
        if not found or len(found) < len(given) or sorted(set(found)) != list(found):
            raise ValueError(f'out_indices must list, in ascending order, some of the {count} '
                             f'blocks or stages, got {out_indices}')
        return found


class ExportableRope(nn.Module):
    """DINOv3's rotary embeddings, which timm fixes to one grid when a model is exported.

    Args:
        rope: timm's.
    """

    def __init__(self, rope: nn.Module) -> None:
        super().__init__()
        self.rope = rope

    def get_embed(self, shape: tuple[int, int]) -> Tensor:
        """Sines and cosines (H * W, 2 p) of a grid (H, W), for heads of width p."""
        if not is_exporting():
            return self.rope.get_embed(shape=shape)
        # Centres of the patches, from -1 to 1 along each side.
        centres = [(2 * torch.arange(side, device=self.rope.periods.device) + 1) / side - 1
                   for side in shape]
        centres = torch.stack(torch.meshgrid(*centres, indexing='ij'), dim=-1).flatten(0, 1)
        angles = (2 * torch.pi * centres[:, :, None] / self.rope.periods).flatten(1).tile(2)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


def make_buffers(module: nn.Module, persistent: bool) -> None:
    """Turns a module's parameters into buffers, which no optimizer trains.

    Args:
        module: The module, modified in place.
        persistent: Whether state dicts have them, and the buffers that were there.
    """
    for part in module.modules():
        kept = part.state_dict(keep_vars=True) if persistent else {}
        tensors = chain(part.named_parameters(recurse=False), part.named_buffers(recurse=False))
        for name, tensor in list(tensors):
            delattr(part, name)
            part.register_buffer(name, tensor.detach(), persistent=name in kept)
