"""A small residual network for pictures: what the judge trains on a user's own data."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GRID = 16
"""About so many places a side are left after the first layer, which takes blocks of pixels as channels."""


class Residual(nn.Module):
    """`relu(x + f(x))` with two convolutions in f (He et al., 2016); f is 0 at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        nn.init.zeros_(self.norms[1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """[rows, channels, height, width], the same out."""
        inner = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(x + self.norms[1](self.second(inner)))


class ConvNet(nn.Module):
    """Blocks of pixels -> convolution -> two halvings, each with a residual block -> mean over places.

    Arguments:
        height, width, channels: of the pictures.
        widths: channels of the three stages; the last is the number of features.
    """

    def __init__(self, height: int, width: int, channels: int, widths: tuple[int, int, int] = (32, 64, 128)) -> None:
        super().__init__()
        self.block = max(1, round(min(height, width) / GRID))
        self.margin = (-width % self.block, -height % self.block)
        parts: list[nn.Module] = _step(channels * self.block**2, widths[0], stride=1)
        for before, after in pairwise(widths):
            parts += [*_step(before, after, stride=2), Residual(after)]
        self.body = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers in [-1, 1], [rows, channels, height, width], to features [rows, widths[-1]]."""
        x = F.pad(x, (0, self.margin[0], 0, self.margin[1]), mode="replicate") if any(self.margin) else x
        out: Tensor = self.body(F.pixel_unshuffle(x, self.block)).float().mean((2, 3))
        return out


def _step(before: int, after: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]
