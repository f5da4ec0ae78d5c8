"""Records the inputs and outputs of a model's layers with forward hooks."""
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from cbsa_mm.errors import UserError
from cbsa_mm.layers import ISTA, MHSA, ODL, Block, SubspaceAttention

from .measures import attention_rank, coding_rate, sparsity, subspace_overlap
from .trace import Trace, is_foreign_attention, trace

EXTRA_TOKENS = 'num_extra_tokens', 'num_prefix_tokens', 'with_cls_token'


@dataclass
class LayerRecord:
    """One layer in the last forward pass.

    Attributes:
        name: The attention's name in the model.
        attn: The attention.
        norm: The LayerNorm before it; None in foreign models.
        x: The attention's input (B, N, d), after the LayerNorm.
        grid: Height and width (H, W) of the image grid; None if unknown.
        grid_offset: Index of the first token of the grid.
        before: The block's input (B, N, d); None in foreign models.
        update: The attention's output (B, N, d); None in foreign models.
        sparse: The output of ISTA (B, N, d), or the codes of ODL (B, N, 4d); None without them.
        num_extra_tokens: Tokens before those of the image.
    """
    name: str
    attn: nn.Module
    norm: nn.Module | None = None
    x: Tensor | None = None
    grid: tuple[int, int] | None = None
    grid_offset: int = 0
    before: Tensor | None = None
    update: Tensor | None = None
    sparse: Tensor | None = None
    num_extra_tokens: int = 0

    @property
    def image_grid(self) -> tuple[int, int]:
        """Height and width of the image's token grid; a square if unknown."""
        if self.grid is not None:
            return self.grid
        side = round((self.x.shape[1] - self.num_extra_tokens)**0.5)
        return side, side

    @cached_property
    def trace(self) -> Trace:
        """The inside of the attention."""
        return trace(self.attn, self.x, self.grid, self.grid_offset)

    @torch.no_grad()
    def coding_rates(self, normalize: bool = False, by_head: bool = False) -> dict[str, Tensor]:
        """Coding rates (B, ) in the layer's subspaces, as far as the layer has the quantities.

        Args:
            normalize: Whether to scale tokens to unit length first.
            by_head: Whether to give those of each head, (B, h), instead of their sum.

        Returns:
            ``'tokens'`` and ``'tokens_after'``, before and after the attention (projected after
            its LayerNorm); ``'representatives'`` and ``'representatives_after'``, before and
            after their contraction.
        """
        values = {'tokens': self.trace.tokens}
        if self.update is not None:
            x = self.norm(self.before + self.update)
            values['tokens_after'] = trace(self.attn, x, self.grid, self.grid_offset).tokens
        if self.trace.contracted is not None:
            values['representatives'] = self.trace.representatives
            values['representatives_after'] = self.trace.contracted
        return {name: coding_rate(z.unsqueeze(2) if by_head else z, normalize=normalize)
                for name, z in values.items()}

    @torch.no_grad()
    def reductions(self) -> dict[str, Tensor]:
        """How much CBSA reduces coding rates within each subspace (paper, figure 6).

        Returns:
            ``'tokens'``, from the tokens W to their contraction A^T C, with step size 1, and
            ``'representatives'``, from R to C, both (B, h), in nats; empty for attentions without
            contracted representatives.
        """
        inside = self.trace
        if inside.coefficients is None or inside.contracted is None:
            return {}

        def by_head(z: Tensor) -> Tensor:
            return coding_rate(z.unsqueeze(2))

        broadcast = inside.coefficients.mT @ inside.contracted
        return {'tokens': by_head(inside.tokens) - by_head(broadcast),
                'representatives': by_head(inside.representatives) - by_head(inside.contracted)}

    def rank(self) -> Tensor | None:
        """The rank of the coefficients A of each head (B, h); None without representatives."""
        A = self.trace.coefficients
        return None if A is None else attention_rank(A)

    def step_sizes(self) -> dict[str, Tensor]:
        """The learned step sizes of a CBSA by name, ``step_rep`` and ``step_x``, (h, ) or (1, )."""
        steps = {name: getattr(self.attn, name, None) for name in ('step_rep', 'step_x')}
        return {name: step.detach().flatten() for name, step in steps.items() if step is not None}

    def overlap(self) -> Tensor | None:
        """Overlap of the subspaces (h, h), see :func:`subspace_overlap`; None with three
        projections."""
        if not isinstance(self.attn, SubspaceAttention) or isinstance(self.attn, MHSA):
            return None
        return subspace_overlap(self.attn.in_proj.weight, self.attn.num_heads)

    def sparsity(self) -> Tensor | None:
        """The fraction of zeros (B, ) in ``sparse``; None without it."""
        return None if self.sparse is None else sparsity(self.sparse)


class Recorder:
    """Records the layers of a model within the context, without changing its results.

    ::

        with Recorder(model) as recorder:
            model(image)
        A = recorder.layers[-1].trace.coefficients

    Args:
        model: A model with this package's layers, or a ViT of mmpretrain, mmseg or timm.

    Raises:
        UserError: If the model has no attention that can be recorded.
    """

    def __init__(self, model: nn.Module) -> None:
        self.layers, self._blocks, self._patch_embeds = [], [], []
        extra_tokens = {}
        for name, module in model.named_modules():
            parent, _, leaf = name.rpartition('.')
            extra_tokens[name] = next(  # as named in mmpretrain, timm and mmseg
                (int(getattr(module, key)) for key in EXTRA_TOKENS if hasattr(module, key)),
                extra_tokens.get(parent, 0))
            if leaf == 'patch_embed':
                self._patch_embeds.append(module)
            if isinstance(module, Block):
                record = LayerRecord(f'{name}.attn', module.attn, module.norm1)
                self._blocks.append(module)
            elif is_foreign_attention(module):
                record = LayerRecord(name, module)
                self._blocks.append(None)
            else:
                continue
            record.num_extra_tokens = extra_tokens[name]
            self.layers.append(record)
        if not self.layers:
            raise UserError(f'{type(model).__name__} has no attention that can be recorded')
        self._handles = []

    def __enter__(self) -> 'Recorder':
        self._handles += [module.register_forward_hook(self._keep_grid)
                          for module in self._patch_embeds]
        for record, block in zip(self.layers, self._blocks):
            self._handles.append(record.attn.register_forward_pre_hook(
                _keep_input(record), with_kwargs=True))
            if block is None:
                continue
            self._handles.append(block.register_forward_pre_hook(_keep(record, 'before')))
            self._handles.append(record.attn.register_forward_hook(_keep(record, 'update')))
            if isinstance(block.ffn, ISTA | ODL):
                self._handles.append(block.ffn.register_forward_hook(_keep_codes(record)))
        return self

    def __exit__(self, *error) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _keep_grid(self, module: nn.Module, args: tuple, output: Tensor | tuple) -> None:
        """Stores the image grid for layers of other libraries, which do not receive it."""
        if isinstance(output, tuple):  # mmseg's and mmpretrain's return it
            grid = tuple(output[1])
        else:
            grid = tuple(size // patch for size, patch in zip(
                args[0].shape[2:], module.proj.stride))
        for record, block in zip(self.layers, self._blocks):
            if block is None:
                record.grid = grid


def _keep_input(record: LayerRecord) -> Callable:
    def hook(module: nn.Module, args: tuple, kwargs: dict) -> None:
        record.__dict__.pop('trace', None)  # from an earlier pass
        x, *rest = args or (kwargs['query'], )
        record.x = x.detach()
        if isinstance(module, nn.MultiheadAttention) and not module.batch_first:
            record.x = record.x.transpose(0, 1)
        if isinstance(module, SubspaceAttention):
            record.grid, record.grid_offset = rest[0], rest[1] if len(rest) > 1 else 0

    return hook


def _keep(record: LayerRecord, name: str) -> Callable:
    """Stores a module's first input (before it runs) or its output (after)."""

    def hook(module: nn.Module, args: tuple, output: Tensor | None = None) -> None:
        setattr(record, name, (args[0] if output is None else output).detach())

    return hook


def _keep_codes(record: LayerRecord) -> Callable:
    """Stores the output of ISTA, or the codes of ODL, which its output no longer shows."""

    @torch.no_grad()
    def hook(module: nn.Module, args: tuple, output: Tensor) -> None:
        record.sparse = module.codes(*args) if isinstance(module, ODL) else output.detach()

    return hook
