"""A residual pair without any normalisation, in the spirit of R3GAN (Huang et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.families.images.gan.networks import WIDEST, Size, even, pyramid
from ensample.nets.mlp import Affine

BLOCK = 2
"""The generator's last map holds blocks of so many pixels each way, so that none is as fine as the picture."""
SLOPE = 0.2
"""Of the leaky rectifier below 0."""


class ResidualBlock(nn.Module):
    """`x + W3 act(W2 act(W1 x))`: 1x1, 3x3, 1x1 convolutions, the last 0 at first (Fixup: Zhang et al. 2019)."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 1)
        self.middle = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.last = nn.Conv2d(channels, channels, 1, bias=False)
        with torch.no_grad():
            for layer in (self.first, self.middle):  # variance kept at the start, times depth^(-1/4) of each of two
                nn.init.kaiming_normal_(layer.weight, a=SLOPE).mul_(depth**-0.25)
            assert self.first.bias is not None
            self.first.bias.zero_()
            self.last.weight.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """[rows, channels, height, width] -> the same shape."""
        h = F.leaky_relu(self.first(x), SLOPE)
        out: Tensor = x + self.last(F.leaky_relu(self.middle(h), SLOPE))
        return out


class ResidualGenerator(nn.Module):
    """Noise [rows, inputs] -> pictures [rows, channels, height, width] in (-1, 1): maps mixed, refined and doubled.

    Arguments:
        inputs: columns of noise and of what is given.
        shape: channels, height and width of the pictures.
        width: channels of the finest map; coarser ones have twice as many each.
        blocks: residual blocks at each size.
    """

    def __init__(self, inputs: int, shape: Sequence[int], width: int, blocks: int) -> None:
        super().__init__()
        self.shape = tuple(shape)
        sizes, widths = stages(shape, width)
        self.sizes = sizes[-2::-1]
        self.mapping = nn.Sequential(Affine(inputs, widths[-1]), nn.LeakyReLU(SLOPE))
        self.basis = nn.Parameter(torch.randn(widths[-1], *sizes[-1]))
        depth = blocks * len(sizes)
        self.stages = nn.ModuleList(_blocks(w, blocks, depth) for w in widths[::-1])
        self.ups = nn.ModuleList(_mix(a, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.last = _mix(widths[0], shape[0] * BLOCK**2)

    def forward(self, noise: Tensor) -> Tensor:
        """[rows, inputs] -> [rows, channels, height, width]."""
        x = self.mapping(noise)[:, :, None, None] * self.basis
        x = self.stages[0](x.contiguous(memory_format=torch.channels_last))
        for up, stage, size in zip(self.ups, self.stages[1:], self.sizes, strict=True):
            x = stage(doubled(up(x), size))
        _, height, width = self.shape
        return torch.tanh(F.pixel_shuffle(self.last(x), BLOCK)[:, :, :height, :width])


class ResidualFeatures(nn.Module):
    """Pictures [rows, channels, height, width] -> what the critic judges them by, [rows, features].

    Strided convolutions as of a DCGAN, each followed by residual blocks.

    Arguments:
        shape, width, blocks: as of the generator.
    """

    def __init__(self, shape: Sequence[int], width: int, blocks: int) -> None:
        super().__init__()
        sizes, widths = stages(shape, width)
        pairs = pairwise([shape[0], *widths])
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairs)
        self.stages = nn.ModuleList(_blocks(w, blocks, blocks * len(sizes)) for w in widths)
        self.features = widths[-1] * sizes[-1][0] * sizes[-1][1]

    def forward(self, pictures: Tensor) -> Tensor:
        """[rows, channels, height, width] -> [rows, features]."""
        x = pictures
        for down, stage in zip(self.downs, self.stages, strict=True):
            x = stage(F.leaky_relu(down(even(x)), SLOPE))
        return x.flatten(1)


def stages(shape: Sequence[int], width: int) -> tuple[tuple[Size, ...], list[int]]:
    """Sizes and channels of the maps, finest first: half the picture's size, then halves of that."""
    sizes = pyramid(shape[1], shape[2])[1:]
    return sizes, [width * min(WIDEST, 2**i) for i in range(len(sizes))]


def doubled(x: Tensor, size: Size) -> Tensor:
    """Maps at twice the size, interpolated, and cut to `size`."""
    return F.interpolate(x, scale_factor=2, mode="bilinear")[:, :, : size[0], : size[1]]


def _blocks(channels: int, blocks: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels, depth) for _ in range(blocks)))


def _mix(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution that keeps the variance of what comes in."""
    layer = nn.Conv2d(inputs, outputs, 1)
    assert layer.bias is not None
    with torch.no_grad():
        nn.init.normal_(layer.weight, std=inputs**-0.5)
        layer.bias.zero_()
    return layer
