"""Contract-and-Broadcast Self-Attention (CBSA), arXiv 2509.16875v3."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cbsa_mm.compat import is_exporting

from .contraction import (
    InverseContraction,
    SoftmaxContraction,
    at_least_float32,
    outside_autocast,
)
from .heads import SubspaceAttention
from .representatives import (
    AllTokens,
    FixedAxes,
    LearnableRepresentatives,
    OrthogonalRepresentatives,
    PooledRepresentatives,
    PrincipalDirections,
    check_grid,
)

# Why a kind of representatives does not go with a contraction.
REFUSALS = {
    ('tokens', 'none'): 'all tokens without contraction are the tokens themselves',
    ('principal', 'none'): 'principal directions without contraction give the tokens back',
    ('principal', 'softmax'): 'the signs of principal directions are arbitrary, to which softmax '
                              'is not blind',
    ('orthogonal', 'none'): 'orthogonal representatives without contraction only scale the tokens',
    ('orthogonal', 'softmax'): 'the signs of principal directions, which they scale, are '
                               'arbitrary, to which softmax is not blind',
    ('fixed', 'none'): 'fixed axes without contraction give the tokens back',
    ('fixed', 'softmax'): 'softmax among fixed axes is the same for all images',
}


class CBSA(SubspaceAttention):
    """Contract-and-Broadcast Self-Attention, and the family of attentions that its formula unifies.

    A few representatives of the tokens are extracted, contracted among themselves, and their
    contraction is broadcast back to all tokens; with few of them, the cost is linear in the number
    of tokens. The choices below make it other attentions (paper, section 3.3):

    ==================  ===========  =============================================================
    representatives     contraction
    ==================  ===========  =============================================================
    pooled, learnable   softmax      CBSA by eq. 8
    pooled, learnable   inverse      CBSA by eq. 7
    pooled, learnable   none         Agent attention (arXiv 2312.08874), with one projection
    tokens              softmax      MSSA of CRATE (arXiv 2306.01129)
    tokens              inverse      eq. 7 on all tokens
    principal           inverse      linear attention, eq. 12
    orthogonal          inverse      the same with any orthogonal set, appendix B
    fixed               inverse      channel attention, eq. 13
    ==================  ===========  =============================================================

    Args:
        embed_dims: Width d of the tokens.
        num_heads: Number of subspaces h.
        head_dims: Width p of a subspace; ``embed_dims // num_heads`` if not given.
        grid_size: Pooled representatives per side; m = grid_size ** 2, of learnable ones too.
        representatives: 'pooled', 'learnable', 'tokens' (all of them), 'principal' (directions),
            'orthogonal' (these, scaled) or 'fixed' (axes).
        contraction: 'softmax', 'inverse' or 'none'.
        output: 'free', a linear layer from the subspaces back to width d, or 'tied', the
            transposed projection (CBSA-dagger in the paper).
        eps: The distortion of the inverse contraction.
        conv_size: Side of a depth-wise convolution of the projected tokens that is added to the
            result, against its low rank; 0 for none.

    Raises:
        ValueError: If a size or choice is out of its range, or choices do not go together.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 head_dims: int | None = None,
                 grid_size: int = 8,
                 representatives: str = 'pooled',
                 contraction: str = 'softmax',
                 output: str = 'free',
                 eps: float = 0.1,
                 conv_size: int = 0) -> None:
        if output not in ('free', 'tied'):
            raise ValueError(f"output must be 'free' or 'tied', got {output!r}")
        if grid_size < 1:
            raise ValueError(f'grid_size must be at least 1, got {grid_size}')
        if conv_size < 0 or conv_size and conv_size % 2 == 0:
            raise ValueError(f'conv_size must be odd, or 0 for none, got {conv_size}')
        if not eps > 0:
            raise ValueError(f'eps must be positive, got {eps}')
        super().__init__(embed_dims, num_heads, head_dims, tied=output == 'tied')
        kinds = {
            'pooled': lambda: PooledRepresentatives(grid_size),
            'learnable': lambda: LearnableRepresentatives(num_heads, grid_size**2, self.head_dims),
            'tokens': AllTokens,
            'principal': PrincipalDirections,
            'orthogonal': lambda: OrthogonalRepresentatives(num_heads, self.head_dims),
            'fixed': FixedAxes,
        }
        contractions = {
            'softmax': SoftmaxContraction,
            'inverse': lambda: InverseContraction(eps),
            'none': lambda: None,
        }
        for name, choice, choices in (('representatives', representatives, kinds),
                                      ('contraction', contraction, contractions)):
            if choice not in choices:
                raise ValueError(f'{name} must be one of {", ".join(choices)}, got {choice!r}')
        if reason := REFUSALS.get((representatives, contraction)):
            raise ValueError(f'representatives={representatives!r} does not go with '
                             f'contraction={contraction!r}: {reason}')
        self.representatives = kinds[representatives]()
        self.contraction = contractions[contraction]()
        # One step size a subspace where representatives are extracted and contracted. Else a free
        # output map can take its part; for a tied one there is one scalar, as in DEPICT.
        self.step_rep = self.step_x = None
        if representatives in ('pooled', 'learnable') and contraction != 'none':
            self.step_rep = nn.Parameter(torch.randn(num_heads, 1, 1))
            self.step_x = nn.Parameter(torch.randn(num_heads, 1, 1))
        elif output == 'tied':
            self.step_x = nn.Parameter(torch.randn(1))
        inner_dims = num_heads * self.head_dims
        self.conv = nn.Conv2d(inner_dims, inner_dims, conv_size, padding=conv_size // 2,
                              groups=inner_dims) if conv_size else None

    def forward(self, x: Tensor, grid: tuple[int, int], grid_offset: int = 0) -> Tensor:
        """Attends within each subspace.

        Args:
            x: Tokens (B, N, d), among them the H * W tokens of an image grid, row by row.
            grid: Height and width (H, W) of that grid.
            grid_offset: Index of the grid's first token. Behind one class token the grid starts
                at 1; the released classifiers were trained with 0.

        Returns:
            The update of the tokens, (B, N, d).

        Raises:
            ValueError: If the grid does not fit into the N tokens.
        """
        check_grid(x.shape[1], grid, grid_offset)
        w = self.split_heads(self.in_proj(x))                         # (B, h, N, p)
        r = self.representatives(w, grid, grid_offset)                # (B, h, m, p)
        if self.step_rep is None:
            y = self._attend_without_steps(w, r)
        else:
            A = coefficients(r, w)                                    # (B, h, m, N)
            r = r + self.step_rep * (A @ w)                           # extraction, eq. 5
            c = self.step_x * self.contraction(r)                     # contraction, eq. 7 or 8
            if self.conv is None:
                return self._broadcast(A, c)                          # broadcast, eqs. 6 and 8
            y = A.mT @ c
        if self.conv is not None:
            y = y + self._convolve(w, grid, grid_offset)
        return self.merge_heads(y)

    def _attend_without_steps(self, w: Tensor, r: Tensor) -> Tensor:
        """The other members of the family; tokens (B, h, N, p) to their update (B, h, N, p)."""
        if self.contraction is None:
            y = agent_attention(w, w, w, r)
        elif isinstance(self.representatives, AllTokens):
            y = self.contraction(w)                                   # A is the identity
        else:
            dtype = w.dtype
            with outside_autocast(w):
                w = at_least_float32(w)
                r = r.to(w.dtype)
                A = r @ w.mT                                          # W = A^T R, exactly
                y = A.mT @ self.contraction(r, self.representatives.energies(A))
            y = y.to(dtype)
        return y if self.step_x is None else self.step_x * y

    def _broadcast(self, A: Tensor, c: Tensor) -> Tensor:
        """Broadcasts and maps back to width d: A (B, h, m, N) and C (B, h, m, p) to (B, N, d)."""
        (_, heads, m, p), n, d = c.shape, A.shape[-1], self.in_proj.in_features
        # With W_k, the rows of the output projection that belong to head k, this is
        # sum_k (A_k^T C_k) W_k = sum_k A_k^T (C_k W_k). The second order is taken where it saves a
        # tenth of the operations, as its large product differs between images: no linear layer.
        if is_exporting() or 0.9 * n * (m * p + p * d) <= n * m * d + m * p * d:
            return self.merge_heads(A.mT @ c)
        weight, bias = self.output()
        c = torch.einsum('bhmp,dhp->bhmd', c, weight.unflatten(1, (heads, p))).flatten(1, 2)
        A = A.flatten(1, 2).mT                                        # (B, N, h*m)
        return A @ c if bias is None else torch.baddbmm(bias, A, c)

    def _convolve(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """The convolution of the tokens (B, h, N, p) in the grid, and zero for the others."""
        end = grid_offset + grid[0] * grid[1]
        image = w[:, :, grid_offset:end].mT.flatten(1, 2).unflatten(2, grid)  # (B, h*p, H, W)
        local = self.conv(image).flatten(2).unflatten(1, (self.num_heads, -1)).mT
        return F.pad(local, (0, 0, grid_offset, w.shape[2] - end))


def coefficients(r: Tensor, k: Tensor) -> Tensor:
    """softmax(R K^T / sqrt(p)) over the tokens: how representatives (B, h, m, p) are made of them.

    Returns:
        A (B, h, m, N), in the type of ``k`` (B, h, N, p) under autocast, too.
    """
    return (k.shape[-1]**-0.5 * r @ k.mT).softmax(-1, dtype=k.dtype)


def agent_attention(q: Tensor, k: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """Representatives (B, h, m, p) attend to the tokens (B, h, N, p), then tokens to them.

    softmax(Q R^T / sqrt(p)) softmax(R K^T / sqrt(p)) V, arXiv 2312.08874.
    """
    extracted = F.scaled_dot_product_attention(r, k, v)
    return F.scaled_dot_product_attention(q, r, extracted)
