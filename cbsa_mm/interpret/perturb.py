"""Perturbations of attention layers: noise (arXiv 2509.16875v3, figure 8), subspace rotations."""
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn

from cbsa_mm.layers import Block, SubspaceAttention

from .trace import is_foreign_attention


def attention_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Finds a model's attentions, without the LayerNorms before them, by name.

    Args:
        model: A model with this package's layers, PyTorch's ``MultiheadAttention`` (as in mmseg's
            Segmenter head), or mmpretrain's or timm's ViT.
    """
    of_blocks = {module.attn for module in model.modules() if isinstance(module, Block)}
    return {name: module for name, module in model.named_modules()
            if module in of_blocks
            or isinstance(module, SubspaceAttention) or is_foreign_attention(module)}


@contextmanager
def perturbed(layers: Iterable[nn.Module],
              change: Callable[[nn.ModuleList, float, Generator], None], std: float,
              seed: int) -> Iterator[None]:
    """Perturbs layers within the context, then restores their parameters exactly.

    ::

        with perturbed(attention_layers(model).values(), add_noise, std=0.1, seed=0):
            model(image)

    Args:
        layers: Attentions.
        change: :func:`add_noise`, :func:`rotate_within_heads` or :func:`rotate_whole_basis`.
        std: Its strength.
        seed: Random seed; the draws are the same on all devices.
    """
    layers = nn.ModuleList(layers)
    kept = [parameter.detach().clone() for parameter in layers.parameters()]
    try:
        with torch.no_grad():
            change(layers, std, Generator().manual_seed(seed))
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(layers.parameters(), kept):
                parameter.copy_(value)


def add_noise(layers: nn.ModuleList, std: float, generator: Generator) -> None:
    """Adds Gaussian noise to every parameter: weights, biases and step sizes.

    Args:
        layers: Attentions.
        std: Standard deviation of the noise.
        generator: Random generator.
    """
    for parameter in layers.parameters():
        parameter.add_(std * torch.randn(parameter.shape, generator=generator).to(parameter))


def rotate_within_heads(layers: nn.ModuleList, std: float, generator: Generator) -> None:
    """Changes the orthonormal basis of each head's coordinates, U_k^T to Q_k U_k^T.

    If the output is tied to the projection and representatives are made of the tokens, as in
    CBSA-dagger and MSSA, the layers' functions stay the same. A free output projection is not
    rotated, nor are learnable representatives and fixed axes.

    Args:
        layers: Attentions, of which those of this package have subspaces.
        std: Strength of the rotations Q_k, as in :func:`random_rotation`.
        generator: Random generator.
    """
    for attn in with_subspaces(layers):
        _rotate(attn, torch.block_diag(*(random_rotation(attn.head_dims, std, generator)
                                         for _ in range(attn.num_heads))))


def rotate_whole_basis(layers: nn.ModuleList, std: float, generator: Generator) -> None:
    """Rotates the coordinates of all heads at once, U^T to Q U^T, which mixes the heads.

    Args:
        layers: Attentions, of which those of this package have subspaces.
        std: Strength of the rotation Q, as in :func:`random_rotation`.
        generator: Random generator.
    """
    for attn in with_subspaces(layers):
        _rotate(attn, random_rotation(attn.num_heads * attn.head_dims, std, generator))


def with_subspaces(layers: Iterable[nn.Module]) -> list[SubspaceAttention]:
    """The layers whose subspaces can be rotated."""
    return [layer for layer in layers if isinstance(layer, SubspaceAttention)]


def random_rotation(dims: int, std: float, generator: Generator) -> Tensor:
    """Draws exp(S) (dims, dims), in float64, with a skew-symmetric Gaussian S.

    Args:
        dims: Dimensions n.
        std: Standard deviation of the entries of S. The largest angle is about 2 std sqrt(n), in
            radians; beyond pi, the rotation is nearly uniform.
        generator: Random generator.
    """
    upper = (std * torch.randn(dims, dims, generator=generator, dtype=torch.float64)).triu(1)
    return torch.matrix_exp(upper - upper.mT)


def _rotate(attn: SubspaceAttention, rotation: Tensor) -> None:
    """Rotates the coordinates (h*p) of each projection of an attention."""
    for parameter in attn.in_proj.parameters():
        rows = parameter.cpu().double().unflatten(0, (-1, len(rotation)))
        parameter.copy_(torch.einsum('ij,nj...->ni...', rotation, rows).flatten(0, 1))
