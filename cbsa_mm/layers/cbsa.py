"""Contract-and-Broadcast Self-Attention (CBSA), arXiv 2509.16875v3."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cbsa_mm.compat import is_exporting

from .contraction import build_contraction
from .heads import SubspaceAttention
from .representatives import (
    Basis,
    PooledRepresentatives,
    build_representatives,
    check_grid,
)


class CBSA(SubspaceAttention):
    """Contract-and-Broadcast Self-Attention, and the family of attentions that its formula unifies.

    A few representatives of the tokens are extracted, contracted among themselves, and their
    contraction is broadcast back to all tokens, at a cost linear in the number of tokens. Other
    options give other attentions (paper, section 3.3):

    ==================  ===========  =============================================================
    representatives     contraction
    ==================  ===========  =============================================================
    pooled, learnable   softmax      CBSA by eq. 8
    pooled, learnable   inverse      CBSA by eq. 7
    pooled, learnable   none         Agent attention (arXiv 2312.08874), with one projection
    tokens              softmax      MSSA of CRATE (arXiv 2306.01129)
    tokens              inverse      eq. 7 on all tokens
    principal           inverse      linear attention, eq. 12
    orthogonal          inverse      the same for any orthogonal set, appendix B
    fixed               inverse      channel attention, eq. 13
    ==================  ===========  =============================================================

    Args:
        embed_dims: Width d of the tokens.
        num_heads: Number of subspaces h.
        head_dims: Width p of a subspace; ``embed_dims // num_heads`` if not given.
        grid_size: Pooled representatives per side, m = grid_size ** 2; also the number of
            learnable ones.
        representatives: 'pooled', 'learnable', 'tokens' (all of them), 'principal' (directions),
            'orthogonal' (scaled directions) or 'fixed' (axes).
        contraction: 'softmax', 'inverse' or 'none'.
        output: 'free', a linear layer from the subspaces back to width d, or 'tied', the
            transposed projection (CBSA-dagger in the paper).
        eps: Distortion of the inverse contraction.
        conv_size: Kernel size of a depth-wise convolution of the projected tokens that is added to
            the result to compensate for its low rank; 0 for none.
        out_bias: Whether the free output layer has a bias.
        learned_steps: Whether the step sizes are learned; if not, they are 1.

    Raises:
        ValueError: If an argument is invalid, or arguments are incompatible.
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
                 conv_size: int = 0,
                 out_bias: bool = True,
                 learned_steps: bool = True) -> None:
        if output not in ('free', 'tied'):
            raise ValueError(f"output must be 'free' or 'tied', got {output!r}")
        if grid_size < 1:
            raise ValueError(f'grid_size must be at least 1, got {grid_size}')
        if conv_size < 0 or conv_size and conv_size % 2 == 0:
            raise ValueError(f'conv_size must be odd, or 0 for none, got {conv_size}')
        if not eps > 0:
            raise ValueError(f'eps must be positive, got {eps}')
        super().__init__(
            embed_dims, num_heads, head_dims, tied=output == 'tied', out_bias=out_bias)
        self.representatives = build_representatives(
            representatives, contraction, num_heads, self.head_dims, grid_size)
        self.contraction = build_contraction(contraction, eps)
        # One step size per subspace if representatives are extracted and contracted. Otherwise a
        # free output layer absorbs it, and a tied one has a single scalar, as in DEPICT.
        self.step_rep = self.step_x = None
        if representatives in ('pooled', 'learnable') and contraction != 'none':
            self.step_rep = nn.Parameter(torch.randn(num_heads, 1, 1))
            self.step_x = nn.Parameter(torch.randn(num_heads, 1, 1))
        elif output == 'tied':
            self.step_x = nn.Parameter(torch.randn(1))
        if not learned_steps:
            for step in (self.step_rep, self.step_x):
                if step is not None:
                    nn.init.ones_(step.requires_grad_(False))
        inner_dims = num_heads * self.head_dims
        self.conv = nn.Conv2d(inner_dims, inner_dims, conv_size, padding=conv_size // 2,
                              groups=inner_dims) if conv_size else None

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None,
                grid_offset: int | None = None) -> Tensor:
        """Attends within each subspace.

        Args:
            x: Tokens (B, N, d), including the H * W tokens of an image grid in row-major order.
            grid: Height and width (H, W) of the grid, needed for pooling and convolution alone.
            grid_offset: Index of the grid's first token, 0 by default. After one class token the
                grid starts at 1; the released classifiers were trained with 0.

        Returns:
            The update of the tokens, (B, N, d).

        Raises:
            ValueError: If the grid does not fit into the N tokens, or is needed and not given.
        """
        pooled = isinstance(self.representatives, PooledRepresentatives)
        grid_offset = check_grid(
            x.shape[1], grid, grid_offset, needed=pooled or self.conv is not None)
        w = self.split_heads(self.in_proj(x))                         # (B, h, N, p)
        local = None if self.conv is None else self._convolve(w, grid, grid_offset)
        if self.contraction is None:
            r = self.representatives(w, grid, grid_offset)
            return self.broadcast(None, agent_attention(w, w, w, r), local)
        A, r = self.extract(w, grid, grid_offset)                     # (B, h, m, N), (B, h, m, p)
        c = self.contract(A, r)                                       # (B, h, m, p)
        return self.broadcast(A, c, local)                            # (B, N, d)

    def extract(self, w: Tensor, grid: tuple[int, int],
                grid_offset: int) -> tuple[Tensor | None, Tensor]:
        """Extracts representatives of the tokens W (B, h, N, p), eq. 5.

        Returns:
            Coefficients A (B, h, m, N), None for the identity, and representatives R
            (B, h, m, p).
        """
        r = self.representatives(w, grid, grid_offset)
        A = self.representatives.coefficients(r, w)
        return A, r if self.step_rep is None else r + self.step_rep * (A @ w)

    def contract(self, A: Tensor | None, r: Tensor) -> Tensor:
        """Contracts the representatives R (B, h, m, p) among themselves, eq. 7 or 8: (B, h, m, p).
        """
        if isinstance(self.representatives, Basis):
            return self.contraction(r, self.representatives.energies(A))
        return self.contraction(r)

    def broadcast(self, A: Tensor | None, c: Tensor, local: Tensor | None = None) -> Tensor:
        """Broadcasts the contraction to the tokens, eqs. 6 and 8, and maps them back to width d.

        Args:
            A: Coefficients (B, h, m, N); None for the identity.
            c: Contracted representatives (B, h, m, p).
            local: Added to the tokens in their subspaces (B, h, N, p).

        Returns:
            The update of the tokens, (B, N, d).
        """
        if self.step_x is not None:
            c = self.step_x * c
        if A is not None and local is None and self._projects_first(A, c):
            weight, bias = self.output()
            weight = weight.unflatten(1, (self.num_heads, -1))
            c = torch.einsum('bhmp,dhp->bhmd', c, weight).flatten(1, 2)
            A = A.flatten(1, 2).mT                                    # (B, N, h*m)
            return A @ c if bias is None else torch.baddbmm(bias, A, c)
        y = c if A is None else A.mT @ c                              # (B, h, N, p)
        return self.merge_heads(y if local is None else y + local)

    def _projects_first(self, A: Tensor, c: Tensor) -> bool:
        """Whether to map the contraction C to width d before broadcasting it.

        With W_k, the rows of the output layer for head k, the result is
        sum_k (A_k^T C_k) W_k = sum_k A_k^T (C_k W_k). The second order must save a tenth of the
        operations, since its large product differs between images and is not a linear layer.
        """
        (_, _, m, p), n, d = c.shape, A.shape[-1], self.in_proj.in_features
        return not is_exporting() and n * m * d + m * p * d < 0.9 * n * (m * p + p * d)

    def _convolve(self, w: Tensor, grid: tuple[int, int], grid_offset: int) -> Tensor:
        """Convolves the tokens (B, h, N, p) of the grid; zero for the others."""
        end = grid_offset + grid[0] * grid[1]
        image = w[:, :, grid_offset:end].mT.flatten(1, 2).unflatten(2, grid)  # (B, h*p, H, W)
        local = self.conv(image).flatten(2).unflatten(1, (self.num_heads, -1)).mT
        return F.pad(local, (0, 0, grid_offset, w.shape[2] - end))


def agent_attention(q: Tensor, k: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """Representatives (B, h, m, p) attend to the tokens (B, h, N, p), then tokens to them.

    softmax(Q R^T / sqrt(p)) softmax(R K^T / sqrt(p)) V, arXiv 2312.08874.
    """
    extracted = F.scaled_dot_product_attention(r, k, v)
    return F.scaled_dot_product_attention(q, r, extracted)
