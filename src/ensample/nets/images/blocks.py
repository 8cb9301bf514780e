"""Small parts of networks of pictures: what they are told besides the picture, patches, and plain convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.mlp import Affine, waves
from ensample.nets.transformer import rms

TIME = 64
"""Fourier features of a time."""
FASTEST = 32.0
"""Radians of the fastest of them while a time goes from 0 to 1."""
LOUD = 0.5
"""Initial spread of the weights of given fields."""


class Setting(nn.Module):
    """Times and given fields as one vector, by which the layers of a network are scaled and shifted.

    Few given columns are not 0, many features of a time are: the former get larger weights, or a class would hardly be
    heard at first.

    Build it inside `ensample.nets.random.seeded`.

    Arguments:
        times: how many times a network is told.
        given: columns of the given fields.
        width: of the vector.

    Example:
        >>> Setting(1, 10, 32)(torch.rand(5), torch.zeros(5, 10)).shape
        torch.Size([5, 32])
    """

    def __init__(self, times: int, given: int, width: int) -> None:
        super().__init__()
        self.first, self.last = Affine(TIME * times, width), Affine(width, width)
        self.given = nn.Linear(given, width, bias=False) if given else None
        if self.given is not None:
            nn.init.normal_(self.given.weight, std=LOUD)

    def forward(self, t: Tensor, cond: Tensor) -> Tensor:
        """Times [rows] or [rows, times] in about (0, 1), given fields [rows, given] -> [rows, width]."""
        clocks = [waves(each, TIME, FASTEST) for each in (t if t.dim() == 2 else t[:, None]).unbind(1)]
        told = self.first(torch.cat(clocks, 1))
        if self.given is not None:
            told = told + self.given(cond)
        out: Tensor = F.silu(self.last(F.silu(told)))
        return out


def to_patches(x: Tensor, patch: int) -> Tensor:
    """Pictures [rows, channels, height, width] as patches [rows, patches, channels * patch^2], row by row.

    Height and width are multiples of `patch`.

    Example:
        >>> to_patches(torch.arange(16.0).view(1, 1, 4, 4), 2)[0, 0].tolist()
        [0.0, 1.0, 4.0, 5.0]
    """
    rows, channels, height, width = x.shape
    x = x.view(rows, channels, height // patch, patch, width // patch, patch)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(rows, -1, channels * patch * patch)


def from_patches(x: Tensor, patch: int, height: int, width: int) -> Tensor:
    """Inverse of `to_patches`.

    Example:
        >>> x = torch.rand(2, 3, 4, 6)
        >>> bool((from_patches(to_patches(x, 2), 2, 4, 6) == x).all())
        True
    """
    rows, down, across = len(x), height // patch, width // patch
    x = x.view(rows, down, across, -1, patch, patch).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(rows, -1, height, width)


def padded(x: Tensor, multiple: int) -> Tensor:
    """Pictures with their last rows and columns repeated until both sides are multiples of a number."""
    down, across = -x.shape[2] % multiple, -x.shape[3] % multiple
    return F.pad(x, (0, across, 0, down), mode="replicate") if down or across else x


def channel_rms(x: Tensor) -> Tensor:
    """`x / sqrt(mean(x^2))` over the channels at each place: a norm that no place shares with another."""
    return rms(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def conv(inputs: int, outputs: int, kernel: int, *, scale: float = 1.0, bias: bool = False) -> nn.Conv2d:
    """A convolution that keeps the size of a picture, with normal weights of variance `scale^2 / fan in`."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    nn.init.normal_(layer.weight, std=scale * (inputs * kernel * kernel) ** -0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
