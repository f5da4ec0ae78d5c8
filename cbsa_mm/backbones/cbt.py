"""The Contract-and-Broadcast Transformer (CBT), arXiv 2509.16875v3."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from mmengine.registry import MODELS
from torch import Tensor, nn

from cbsa_mm.errors import UserError
from cbsa_mm.layers import Block, ConvStem, LinearStem, PatchStem, resize_pos_embed
from cbsa_mm.layers.archs import ARCHS

from .attention import build_attention
from .feedforward import build_feedforward

STEMS = {'conv': ConvStem, 'linear': LinearStem, 'patch': PatchStem}
OUT_TYPES = ('cls_token', 'featmap', 'avg_featmap', 'raw')


@MODELS.register_module()
class CBT(BaseModule):
    """Contract-and-Broadcast Transformer.

    A convolutional stem, a class token, position embeddings, and blocks of CBSA and ISTA. Images
    may have any size: the position embeddings are interpolated to their grid. With another
    attention, feedforward step or stem, it becomes CRATE, ToST and others in the same setting.

    Args:
        arch: 'tiny', 'small', 'base' or 'large', or a dict with ``embed_dims``, ``num_layers``,
            ``num_heads`` and, if it is not ``embed_dims // num_heads``, ``head_dims``.
        img_size: Height and width, or side, of the images that the position embeddings fit.
        patch_size: Pixels per token and side, a power of two.
        in_channels: Channels of the image.
        attn_cfg: The attention of all layers, or a list with one per layer: its type, 'CBSA',
            'MSSA', 'TSSA', 'AgentAttention', 'MHSA' or another in mmengine's registry MODELS, and
            its arguments, such as ``dict(type='CBSA', grid_size=8)``.
        ffn_cfg: The step after the attention, likewise: 'ISTA', 'ODL' as in CRATE-alpha, or 'MLP'
            as in ViT, such as ``dict(type='ODL', ratio=4, num_steps=2)``.
        stem: 'conv', 'linear' as in CRATE, or 'patch' as in ViT.
        grid_offset: Index of the first token that is pooled to representatives: 0 as in the
            released classifiers (includes the class token, omits the last patch), 1 for exactly
            the patches.
        out_indices: Layers whose output is returned, in ascending order; negative ones are counted
            from the end.
        out_type: 'cls_token' (B, d) or 'avg_featmap' (B, d), the mean over the patches, for
            classification; 'featmap' (B, d, H, W) for dense prediction; 'raw' (B, 1 + H * W, d)
            for all tokens, the class token first.
        final_norm: Whether to apply a LayerNorm to the last layer's output.
        drop_path_rate: Stochastic depth of the residual branches, increasing linearly to this rate.
        frozen_stages: -1 to train all; 0 to freeze stem, class token and position embeddings; n to
            freeze the first n layers as well (and the final norm when these are all layers).
        with_cp: Whether to recompute the layers in the backward pass, which saves memory.
        deploy: Whether to build the form of :meth:`switch_to_deploy`, for weights in that form.
        init_cfg: mmengine's initialization config, such as ``dict(type='Pretrained', ...)``.

    Raises:
        ValueError: If an argument is invalid.
    """

    default_attn_cfg = dict(type='CBSA')
    default_ffn_cfg = dict(type='ISTA')
    num_extra_tokens = 1
    norm_eps = final_norm_eps = 1e-5
    interpolate_mode = 'bicubic'

    def __init__(self,
                 arch: str | dict = 'small',
                 img_size: int | Sequence[int] = 224,
                 patch_size: int = 16,
                 in_channels: int = 3,
                 attn_cfg: dict | Sequence[dict] | None = None,
                 ffn_cfg: dict | Sequence[dict] | None = None,
                 stem: str = 'conv',
                 grid_offset: int = 0,
                 out_indices: int | Sequence[int] = -1,
                 out_type: str = 'cls_token',
                 final_norm: bool = True,
                 drop_path_rate: float = 0.,
                 frozen_stages: int = -1,
                 with_cp: bool = False,
                 deploy: bool = False,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        arch = resolve_arch(arch)
        self.embed_dims = arch['embed_dims']
        self.num_layers = arch['num_layers']
        for name, choice, choices in (('out_type', out_type, OUT_TYPES), ('stem', stem, STEMS)):
            if choice not in choices:
                raise ValueError(f'{name} must be one of {", ".join(choices)}, got {choice!r}')
        if grid_offset not in (0, 1):
            raise ValueError(f'grid_offset must be 0 or 1, got {grid_offset}')
        if not -1 <= frozen_stages <= self.num_layers:
            raise ValueError(f'frozen_stages must lie between -1 and the {self.num_layers} layers, '
                             f'got {frozen_stages}')
        self.in_channels = in_channels
        self.grid_offset = grid_offset
        self.out_indices = self._resolve_out_indices(out_indices)
        self.out_type = out_type
        self.frozen_stages = frozen_stages

        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        if min(height, width, patch_size) < 1:
            raise ValueError('img_size and patch_size must be positive, got '
                             f'{img_size} and {patch_size}')
        self.grid = (-(-height // patch_size), -(-width // patch_size))
        self.stem = STEMS[stem](in_channels, self.embed_dims, patch_size)
        self.cls_token = nn.Parameter(torch.randn(1, 1, self.embed_dims))
        self.pos_embed = nn.Parameter(
            torch.randn(1, self.num_extra_tokens + self.grid[0] * self.grid[1], self.embed_dims))
        drop_path_step = drop_path_rate / max(self.num_layers - 1, 1)
        self.layers = ModuleList(
            Block(
                self.embed_dims,
                build_attention(attn, self.embed_dims, arch['num_heads'], arch.get('head_dims'),
                                self.default_attn_cfg),
                build_feedforward(ffn, self.embed_dims, self.default_ffn_cfg),
                drop_path=i * drop_path_step,
                with_cp=with_cp,
                eps=self.norm_eps)
            for i, (attn, ffn) in enumerate(zip(self._per_layer('attn_cfg', attn_cfg),
                                                self._per_layer('ffn_cfg', ffn_cfg))))
        self.norm = nn.LayerNorm(
            self.embed_dims, self.final_norm_eps) if final_norm else nn.Identity()
        self._freeze()
        if deploy:
            self.switch_to_deploy()

    def _per_layer(self, name: str, cfg: dict | Sequence[dict] | None) -> Sequence[dict | None]:
        if cfg is None or isinstance(cfg, dict):
            return [cfg] * self.num_layers
        if len(cfg) != self.num_layers:
            raise ValueError(f'{name} must be one dict, or one for each of the {self.num_layers} '
                             f'layers, got {len(cfg)}')
        return cfg

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encodes images.

        Args:
            image: (B, in_channels, H, W), of any height and width.

        Returns:
            One output of ``out_type`` for each of ``out_indices``.

        Raises:
            UserError: If the images have a different number of channels.
        """
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise UserError(f'{type(self).__name__} with in_channels={self.in_channels} takes '
                            f'images of shape (B, {self.in_channels}, H, W), got '
                            f'{tuple(image.shape)}')
        x = self.stem(image)
        grid = tuple(x.shape[2:])
        x = x.flatten(2).transpose(1, 2)                                          # (B, H*W, d)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)      # (B, 1+H*W, d)
        x = x + self._resize_pos_embed(self.pos_embed, self.grid, grid)
        outs = []
        for i, layer in enumerate(self.layers):
            x = layer(x, grid, self.grid_offset)
            if i in self.out_indices:
                out = self.norm(x) if i == self.num_layers - 1 else x
                outs.append(self._format(out, grid))
            if i == max(self.out_indices):
                break
        return tuple(outs)

    def _format(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        if self.out_type == 'cls_token':
            return x[:, 0]
        if self.out_type == 'avg_featmap':
            return x[:, self.num_extra_tokens:].mean(dim=1)
        if self.out_type == 'featmap':
            x = x[:, self.num_extra_tokens:].transpose(1, 2)
            return x.reshape(-1, self.embed_dims, *grid).contiguous()
        return x

    def switch_to_deploy(self) -> None:
        """Folds constants for inference: BatchNorms, LayerNorms' affines, ISTA's matrix.

        Outputs stay the same up to rounding; names and shapes of the parameters change.
        """
        if isinstance(self.stem, ConvStem):
            self.stem.switch_to_deploy()
        for layer in self.layers:
            layer.switch_to_deploy()
        self._freeze()

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Returns the depth of a parameter for layer-wise learning rate decay.

        Args:
            param_name: Name of the parameter, including ``prefix``.
            prefix: Prefix of the backbone's names, such as 'backbone.'.

        Returns:
            Depth and number of depths: 0 for stem, class token and position embeddings, i + 1 for
            layer i, the last for everything after.
        """
        num_depths = self.num_layers + 2
        name = param_name.removeprefix(prefix)
        if param_name.startswith(prefix):
            if name.startswith(('stem.', 'cls_token', 'pos_embed')):
                return 0, num_depths
            if name.startswith('layers.'):
                return int(name.split('.')[1]) + 1, num_depths
        return num_depths - 1, num_depths

    def train(self, mode: bool = True) -> 'CBT':
        """Sets the mode; frozen modules stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages >= 0:
            self.cls_token.requires_grad_(False)
            self.pos_embed.requires_grad_(False)
        for module in self._frozen_modules():
            module.requires_grad_(False)

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        frozen = [self.stem, *self.layers[:self.frozen_stages]]
        return frozen + [self.norm] if self.frozen_stages == self.num_layers else frozen

    def _resolve_out_indices(self, out_indices: int | Sequence[int]) -> tuple[int, ...]:
        if isinstance(out_indices, int):
            out_indices = [out_indices]
        for i in out_indices:
            if not -self.num_layers <= i < self.num_layers:
                raise ValueError(f'out_indices must be indices of the {self.num_layers} layers, '
                                 f'got {i}')
        out_indices = tuple(i % self.num_layers for i in out_indices)
        if not out_indices or sorted(set(out_indices)) != list(out_indices):
            raise ValueError(f'out_indices must list layers in ascending order, got {out_indices}')
        return out_indices

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Resizes a checkpoint's position embeddings to this model's grid while loading.

        Raises:
            UserError: If their width differs or their grid is unknown.
        """
        key = prefix + 'pos_embed'
        if key in state_dict and state_dict[key].shape != self.pos_embed.shape:
            state_dict[key] = self._fit_pos_embed(state_dict[key])
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _fit_pos_embed(self, pos_embed: Tensor) -> Tensor:
        if pos_embed.ndim != 3 or len(pos_embed) != 1:
            raise UserError('the position embeddings in the checkpoint must have the shape '
                            f'(1, tokens, d), got {tuple(pos_embed.shape)}')
        num_patches, embed_dims = pos_embed.shape[1] - self.num_extra_tokens, pos_embed.shape[2]
        if embed_dims != self.embed_dims:
            raise UserError(f'the checkpoint has another arch: its embed_dims is {embed_dims}, '
                             f"this {type(self).__name__}'s {self.embed_dims}")
        side = round(max(num_patches, 0)**0.5)
        if not side or side**2 != num_patches:
            raise UserError(f"the grid of the checkpoint's {num_patches} position embeddings is "
                            f'unknown, since it is not square; build {type(self).__name__} with '
                            'the img_size that they were trained for')
        return self._resize_pos_embed(pos_embed, (side, side), self.grid)

    def _resize_pos_embed(self, pos_embed: Tensor, source: tuple[int, int],
                          target: tuple[int, int]) -> Tensor:
        return resize_pos_embed(
            pos_embed, source, target, self.num_extra_tokens, self.interpolate_mode)


def resolve_arch(arch: str | dict) -> dict:
    """Looks up a named arch, or checks a dict."""
    required, optional = {'embed_dims', 'num_layers', 'num_heads'}, {'head_dims'}
    if isinstance(arch, dict):
        if not required <= set(arch) <= required | optional:
            raise ValueError(f'arch as a dict must have the keys {sorted(required)} and may have '
                             f'{sorted(optional)}, got {sorted(arch)}')
        for name, size in arch.items():
            if size is not None and (not isinstance(size, int) or size < 1):
                raise ValueError(f'{name} in arch must be a positive integer, got {size!r}')
        return arch
    if arch not in ARCHS:
        raise ValueError(f'unknown arch {arch!r}: choose from {", ".join(ARCHS)}, or give a dict '
                         f'with the keys {sorted(required)}')
    return ARCHS[arch]
