"""Changes of colour in batches: each is a matrix on (red, green, blue, 1), so that many are one."""

from __future__ import annotations

import torch
from torch import Tensor

GREY = 1 / 3
"""Every entry of the projection onto greys: the outer product of (1, 1, 1) / sqrt(3) with itself."""


def identity(rows: int, like: Tensor) -> Tensor:
    """[rows, 4, 4], of the type and on the device of `like`."""
    return torch.eye(4, dtype=like.dtype, device=like.device).repeat(rows, 1, 1)


def brightness(shift: Tensor) -> Tensor:
    """Matrices [rows, 4, 4] that add to all colours; values are in [-1, 1]."""
    matrix = identity(len(shift), shift)
    matrix[:, :3, 3] = shift[:, None]
    return matrix


def contrast(factor: Tensor) -> Tensor:
    """Matrices that multiply the distance of all colours from middle grey, which is 0."""
    matrix = identity(len(factor), factor)
    matrix[:, :3, :3] *= factor[:, None, None]
    return matrix


def saturation(factor: Tensor) -> Tensor:
    """Matrices that multiply the distance of each colour from its grey; 0 makes pictures grey."""
    matrix = identity(len(factor), factor)
    grey = matrix.new_full((3, 3), GREY)
    matrix[:, :3, :3] = grey + factor[:, None, None] * (matrix[:, :3, :3] - grey)
    return matrix


def recolour(x: Tensor, matrix: Tensor) -> Tensor:
    """Pictures [rows, channels, height, width] with colours changed by matrices [rows, 4, 4].

    Grey pictures (one channel) are taken as of three equal colours, and made grey again by their mean; a fourth channel
    (how opaque a pixel is) stays as it is. Values may leave [-1, 1].

    Example:
        >>> x = torch.tensor([0.2, 0.4, 0.9]).reshape(1, 3, 1, 1)
        >>> recolour(x, saturation(torch.zeros(1))).flatten().tolist()
        [0.5, 0.5, 0.5]
    """
    matrix = matrix.to(x.dtype)
    if x.shape[1] == 1:
        row = matrix[:, :3].mean(1)  # of the three colours that come out
        return x * row[:, :3].sum(1)[:, None, None, None] + row[:, 3, None, None, None]
    changed = torch.einsum("nij,njhw->nihw", matrix[:, :3, :3], x[:, :3]) + matrix[:, :3, 3, None, None]
    return changed if x.shape[1] == 3 else torch.cat([changed, x[:, 3:]], 1)
