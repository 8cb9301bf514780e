"""Affine warps of pictures in batches: matrices in pixels from the middle, and one resampling for all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def identity(rows: int, like: Tensor) -> Tensor:
    """[rows, 3, 3], of the type and on the device of `like`."""
    return torch.eye(3, dtype=like.dtype, device=like.device).repeat(rows, 1, 1)


def rotation(degrees: Tensor) -> Tensor:
    """Matrices [rows, 3, 3] that turn pictures to the left (against the clock) by angles [rows]."""
    angle = degrees * (math.pi / 180)
    matrix = identity(len(angle), angle)
    matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle)
    matrix[:, 0, 1], matrix[:, 1, 0] = torch.sin(angle), -torch.sin(angle)
    return matrix


def scaling(across: Tensor, down: Tensor) -> Tensor:
    """Matrices that enlarge pictures by these factors [rows]; -1 mirrors them."""
    matrix = identity(len(across), across)
    matrix[:, 0, 0], matrix[:, 1, 1] = across, down
    return matrix


def translation(right: Tensor, down: Tensor) -> Tensor:
    """Matrices that shift pictures by so many pixels [rows]."""
    matrix = identity(len(right), right)
    matrix[:, 0, 2], matrix[:, 1, 2] = right, down
    return matrix


def warp(x: Tensor, matrix: Tensor) -> Tensor:
    """Pictures [rows, channels, height, width] moved by matrices [rows, 3, 3]; products of matrices act from the right.

    A matrix takes the place of a point, (pixels right of the middle, pixels below it, 1), to where it comes to lie.
    Values between pixels are interpolated linearly, and what comes from beyond the edge is the picture mirrored there.

    Example:
        >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> warp(x, rotation(torch.tensor([90.0]))).round().tolist() == x.rot90(1, (2, 3)).tolist()
        True
    """
    height, width = x.shape[-2:]
    half = torch.tensor([width / 2, height / 2, 1.0], dtype=matrix.dtype, device=matrix.device)
    back = torch.linalg.inv(matrix) * half / half[:, None]  # from places in the result, in [-1, 1], to the source
    grid = functional.affine_grid(back[:, :2].to(x.dtype), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, "bilinear", "reflection", align_corners=False)


def flip(x: Tensor, chosen: Tensor) -> Tensor:
    """Pictures mirrored left to right where `chosen` [rows] is set."""
    return torch.where(chosen[:, None, None, None], x.flip(-1), x)


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Pictures turned to the left by angles [rows]."""
    return warp(x, rotation(degrees))


def scale(x: Tensor, factor: Tensor) -> Tensor:
    """Pictures enlarged about their middle by factors [rows]."""
    return warp(x, scaling(factor, factor))


def translate(x: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Pictures shifted by so many pixels [rows]."""
    return warp(x, translation(right, down))


def window(share: Tensor, left: Tensor, top: Tensor, size: tuple[int, int]) -> Tensor:
    """Matrices [rows, 3, 3] that enlarge a window of a picture to the whole of it.

    Arguments:
        share: sides of the window as shares of the picture's, [rows].
        left: where it begins, as a share of the width from 0 to 1 - share, [rows].
        top: the same of the height.
        size: (height, width) of the pictures.
    """
    right = (0.5 - left - share / 2) * size[1]
    down = (0.5 - top - share / 2) * size[0]
    return scaling(1 / share, 1 / share) @ translation(right, down)


def crop(x: Tensor, share: Tensor, left: Tensor, top: Tensor) -> Tensor:
    """Windows of pictures enlarged to their whole size; see `window`."""
    return warp(x, window(share, left, top, (x.shape[-2], x.shape[-1])))
