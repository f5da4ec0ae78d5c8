"""Recomputes the quantities of an attention's equations from its input."""
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cbsa_mm.errors import UserError
from cbsa_mm.layers import CBSA, MHSA, TSSA, LinearAttention, SubspaceAttention
from cbsa_mm.layers.representatives import Basis, coefficients


@dataclass
class Trace:
    """The internals of an attention for one input; None for what it does not have.

    Attributes:
        tokens: Projected tokens W (B, h, N, p); the values of attentions with three projections.
        coefficients: A (B, h, m, N), weights of the tokens in the representatives.
        representatives: R (B, h, m, p), extracted.
        contracted: C (B, h, m, p), the representatives after contraction.
        queries: Queries (B, h, N, p) of attentions whose rows are a softmax.
        keys: Keys (B, h, N or m, p) of that softmax.
        over_heads: Whether the rows are TSSA's, a softmax of W W^T over the heads.
    """
    tokens: Tensor
    coefficients: Tensor | None = None
    representatives: Tensor | None = None
    contracted: Tensor | None = None
    queries: Tensor | None = None
    keys: Tensor | None = None
    over_heads: bool = False

    def rows(self, index: Tensor | slice = slice(None)) -> Tensor:
        """Rows of the attention among all tokens: what the tokens at ``index`` attend to.

        For CBSA these are rows of A^T A, computed without the N x N matrix unless all rows are
        requested. TSSA's, as its released code defines them, divide each pair of tokens
        among the heads; they do not sum to one.

        Args:
            index: Indices of tokens (n, ), or a slice; all by default.

        Returns:
            (B, h, n, N).

        Raises:
            UserError: If the attention has no such matrix.
        """
        A = self.coefficients
        if self.over_heads:
            return (self.tokens[:, :, index] @ self.tokens.mT).softmax(dim=1)
        if self.queries is None:
            if A is None:
                raise UserError('this attention has no token-by-token matrix of softmax weights')
            return A[..., index].mT @ A
        weights = coefficients(self.queries[:, :, index], self.keys)
        return weights if A is None else weights @ A


def is_foreign_attention(module: nn.Module) -> bool:
    """Whether a module is the self-attention of mmpretrain's, mmseg's or timm's ViT."""
    return isinstance(module, nn.MultiheadAttention) or (
        hasattr(module, 'qkv') and hasattr(module, 'num_heads'))


@torch.no_grad()
def trace(attn: nn.Module, x: Tensor, grid: tuple[int, int] | None = None,
          grid_offset: int = 0) -> Trace:
    """Computes the internals of an attention.

    Args:
        attn: One of this package's attentions, or that of mmpretrain's, mmseg's or timm's ViT.
        x: Its input, tokens (B, N, d) after the layer's LayerNorm.
        grid: The image grid (H, W) within the tokens; not needed for foreign attentions.
        grid_offset: Index of the grid's first token.

    Raises:
        UserError: If the type of attention is unknown.
    """
    if isinstance(attn, MHSA):
        q, k, v = attn.split_heads(attn.in_proj(x)).chunk(3, dim=1)
        if isinstance(attn, LinearAttention):
            return Trace(v)
        if not hasattr(attn, 'representatives'):
            return Trace(v, queries=q, keys=k)
        if attn.contraction is None:
            return _trace_agents(attn.representatives(q, grid, grid_offset), q, k, v)
        A, r = attn.extract(q, k, v, grid, grid_offset)
        return Trace(v, A, r, attn.contraction(r))
    if isinstance(attn, CBSA):
        w = attn.split_heads(attn.in_proj(x))
        if attn.contraction is None:
            return _trace_agents(attn.representatives(w, grid, grid_offset), w, w, w)
        A, r = attn.extract(w, grid, grid_offset)
        c = attn.contract(A, r)
        if A is None:  # all tokens
            return Trace(w, None, r, c, queries=w, keys=w)
        return Trace(w, None if isinstance(attn.representatives, Basis) else A, r, c)
    if isinstance(attn, SubspaceAttention):
        return Trace(attn.split_heads(attn.in_proj(x)), over_heads=isinstance(attn, TSSA))
    if isinstance(attn, nn.MultiheadAttention):
        qkv = nn.functional.linear(x, attn.in_proj_weight, attn.in_proj_bias)
        q, k, v = qkv.unflatten(2, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return Trace(v, queries=q, keys=k)
    if is_foreign_attention(attn):
        qkv = attn.qkv(x).unflatten(2, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        q, k = (getattr(attn, f'{name}_norm', nn.Identity())(t) for name, t in (('q', q), ('k', k)))
        return Trace(v, queries=q, keys=k)
    raise UserError(f'cannot trace a {type(attn).__name__}')


def _trace_agents(r: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Trace:
    """Traces :func:`cbsa_mm.layers.cbsa.agent_attention`."""
    A = coefficients(r, k)
    return Trace(v, A, A @ v, queries=q, keys=r)
