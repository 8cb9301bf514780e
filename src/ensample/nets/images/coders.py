"""Encoders and decoders: a picture as a vector or a small map, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.blocks import channel_rms, conv
from ensample.nets.mlp import Affine, Mlp

Shape = tuple[int, int, int]
"""Channels, height, width."""


class DenseEncoder(nn.Module):
    """A picture as a row of numbers through fully connected layers: cheap, and as good on small pictures.

    Build it, as all of these, inside `ensample.nets.random.seeded`.

    Arguments:
        shape: of the pictures.
        given: columns of the given fields.
        width, depth: hidden units, hidden layers; 0 layers leave the row as it is.
        dropout: share of hidden units left out in learning.

    Attributes:
        features: columns of what comes out.
    """

    def __init__(self, shape: Shape, given: int, width: int, depth: int, dropout: float = 0.0) -> None:
        super().__init__()
        inputs = shape[0] * shape[1] * shape[2] + given
        self.body, self.features = _trunk(inputs, width, depth, dropout)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """[rows, *shape] and [rows, given] -> [rows, features]."""
        out: Tensor = self.body(torch.cat([x.flatten(1), cond], 1))
        return out


class DenseDecoder(nn.Module):
    """A vector through fully connected layers to parameters of every pixel; no hidden layers make it linear.

    Arguments:
        inputs: columns of the vector.
        shape: of what comes out.
        given, width, depth, dropout: as of `DenseEncoder`.
    """

    def __init__(self, inputs: int, shape: Shape, given: int, width: int, depth: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.body, features = _trunk(inputs + given, width, depth, dropout)
        self.last = Affine(features, shape[0] * shape[1] * shape[2])

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        """[rows, inputs] and [rows, given] -> [rows, *shape]."""
        out: Tensor = self.last(self.body(torch.cat([z, cond], 1)))
        return out.reshape(-1, *self.shape)


class ConvEncoder(nn.Module):
    """A picture folded to a small grid of squares, residual convolutions, halved some times: maps from fine to coarse.

    Arguments:
        shape: of the pictures; sides that the grid does not divide are filled up with zeros.
        given: columns of the given fields, which shift the first map.
        width: channels of the finest map.
        depth: residual blocks at each size.
        fold: side of the squares of pixels that become channels.
        sizes: maps, each half as wide as the one before, with twice as many channels.

    Attributes:
        maps: shape of each map.

    Example:
        >>> net = ConvEncoder((1, 7, 6), 2, width=4, depth=1, fold=2, sizes=2)
        >>> [tuple(m.shape) for m in net(torch.rand(3, 1, 7, 6), torch.zeros(3, 2))], net.maps
        ([(3, 4, 4, 4), (3, 8, 2, 2)], ((4, 4, 4), (8, 2, 2)))
    """

    def __init__(self, shape: Shape, given: int, *, width: int, depth: int, fold: int, sizes: int) -> None:
        super().__init__()
        self.fold, self.maps = fold, map_shapes(shape, width, fold, sizes)
        self.first = conv(shape[0] * fold * fold, width, 3, bias=True)
        self.given = Affine(given, width, bias=False) if given else None
        self.shrink = nn.ModuleList(conv(4 * m[0], 2 * m[0], 1) for m in self.maps[:-1])
        self.blocks = nn.ModuleList(residuals(m[0], depth) for m in self.maps)

    def forward(self, x: Tensor, cond: Tensor) -> list[Tensor]:
        """[rows, *shape] and [rows, given] -> maps [rows, channels, height, width], fine to coarse."""
        h = self.first(F.pixel_unshuffle(filled(x, self.fold, self.maps[0]), self.fold))
        h = h.contiguous(memory_format=torch.channels_last)
        if self.given is not None:
            h = h + self.given(cond)[:, :, None, None]
        out = []
        for i, blocks in enumerate(self.blocks):
            if i:
                h = self.shrink[i - 1](F.pixel_unshuffle(h, 2).contiguous(memory_format=torch.channels_last))
            h = blocks(h)
            out.append(h)
        return out


class CoarsestEncoder(nn.Module):
    """The coarsest map of `ConvEncoder` as a row of numbers.

    Arguments:
        encoder: whose map.
        dims: a last convolution to so many channels; None leaves the map as it is.

    Attributes:
        features: columns of what comes out.
    """

    def __init__(self, encoder: ConvEncoder, dims: int | None = None) -> None:
        super().__init__()
        self.encoder, (channels, high, wide) = encoder, encoder.maps[-1]
        self.last = nn.Identity() if dims is None else conv(channels, dims, 1, scale=0.1, bias=True)
        self.features = (dims or channels) * high * wide

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """[rows, *shape] and [rows, given] -> [rows, features]."""
        coarsest = F.silu(channel_rms(self.encoder(x, cond)[-1]))
        out: Tensor = self.last(coarsest).flatten(1)
        return out


class ConvDecoder(nn.Module):
    """A coarse map doubled some times, residual convolutions, unfolded to parameters of every pixel.

    Arguments:
        shape: of what comes out.
        width, depth, fold, sizes: as of `ConvEncoder`, whose coarsest map is what goes in.

    Example:
        >>> net = ConvDecoder((3, 7, 6), width=4, depth=1, fold=2, sizes=2)
        >>> tuple(net(torch.rand(2, *net.maps[-1])).shape)
        (2, 3, 7, 6)
    """

    def __init__(self, shape: Shape, *, width: int, depth: int, fold: int, sizes: int) -> None:
        super().__init__()
        self.shape, self.fold, self.maps = shape, fold, map_shapes(shape, width, fold, sizes)
        self.blocks = nn.ModuleList(residuals(m[0], depth) for m in reversed(self.maps))
        self.grow = nn.ModuleList(conv(m[0], 4 * m[0] // 2, 1) for m in reversed(self.maps[1:]))
        self.last = Unfold(shape, width, fold)

    def forward(self, h: Tensor) -> Tensor:
        """The coarsest map [rows, *maps[-1]] -> [rows, *shape]."""
        h = h.contiguous(memory_format=torch.channels_last)
        for i, blocks in enumerate(self.blocks):
            if i:
                h = F.pixel_shuffle(self.grow[i - 1](h), 2).contiguous(memory_format=torch.channels_last)
            h = blocks(h)
        out: Tensor = self.last(h)
        return out


class Unfold(nn.Module):
    """The finest map to parameters of every pixel.

    Arguments:
        shape: of what comes out.
        width: channels of the map.
        fold: side of the squares of pixels that its channels become.
    """

    def __init__(self, shape: Shape, width: int, fold: int) -> None:
        super().__init__()
        self.shape, self.fold = shape, fold
        self.mix = conv(width, shape[0] * fold * fold, 3, scale=0.1, bias=True)

    def forward(self, h: Tensor) -> Tensor:
        """[rows, width, grid, grid] -> [rows, *shape]."""
        out = F.pixel_shuffle(self.mix(F.silu(channel_rms(h))), self.fold)
        return out[:, :, : self.shape[1], : self.shape[2]]


class MapDecoder(nn.Module):
    """A vector to the coarsest map by one linear layer, then `ConvDecoder`.

    Arguments:
        inputs: columns of the vector.
        given: columns of the given fields.
        decoder: from the map on.
    """

    def __init__(self, inputs: int, given: int, decoder: ConvDecoder) -> None:
        super().__init__()
        self.decoder, (self.channels, self.height, self.width) = decoder, decoder.maps[-1]
        self.first = Affine(inputs + given, self.channels * self.height * self.width)

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        """[rows, inputs] and [rows, given] -> [rows, *shape]."""
        h = self.first(torch.cat([z, cond], 1)).reshape(-1, self.channels, self.height, self.width)
        out: Tensor = self.decoder(h)
        return out


class GridDecoder(nn.Module):
    """A vector that is a grid of `dims` numbers at each place of the coarsest map, then `ConvDecoder`.

    Arguments:
        dims: numbers at each place.
        given: columns of the given fields, which shift the map.
        decoder: from the map on.
    """

    def __init__(self, dims: int, given: int, decoder: ConvDecoder) -> None:
        super().__init__()
        self.decoder, (channels, *grid) = decoder, decoder.maps[-1]
        self.grid = (dims, *grid)
        self.first = conv(dims, channels, 3, bias=True)
        self.given = Affine(given, channels, bias=False) if given else None

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        """[rows, dims x height x width] and [rows, given] -> [rows, *shape]."""
        h = self.first(z.reshape(-1, *self.grid))
        if self.given is not None:
            h = h + self.given(cond)[:, :, None, None]
        out: Tensor = self.decoder(h)
        return out


class FinestDecoder(nn.Module):
    """The finest map, as a row of numbers, to parameters of every pixel.

    Arguments:
        finest: shape of the map.
        shape: of what comes out.
        fold: side of the squares of pixels that its channels become.
    """

    def __init__(self, finest: Shape, shape: Shape, fold: int) -> None:
        super().__init__()
        self.finest, self.last = finest, Unfold(shape, finest[0], fold)

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        """[rows, channels x height x width] -> [rows, *shape]; given fields are in the map already."""
        h = z.reshape(-1, *self.finest).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.last(h)
        return out


class Residual(nn.Module):
    """`x + conv(silu(norm(conv(silu(norm(x))))))`, the norm over the channels of each place.

    Arguments:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = conv(width, width, 3), conv(width, width, 3, scale=0.3)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        h = channel_rms(self.first(F.silu(channel_rms(x))))
        out: Tensor = x + self.last(F.silu(h))
        return out


def residuals(width: int, depth: int) -> nn.Sequential:
    """So many residual blocks."""
    return nn.Sequential(*(Residual(width) for _ in range(depth)))


def map_shapes(shape: Shape, width: int, fold: int, sizes: int) -> tuple[Shape, ...]:
    """Shapes of the maps of a picture, fine to coarse.

    Example:
        >>> map_shapes((1, 28, 28), 32, fold=4, sizes=2)
        ((32, 8, 8), (64, 4, 4))
    """
    unit = fold * 2 ** (sizes - 1)
    high, wide = (-(-side // unit) * unit // fold for side in shape[1:])
    return tuple((width * 2**i, high // 2**i, wide // 2**i) for i in range(sizes))


def filled(x: Tensor, fold: int, finest: Shape) -> Tensor:
    """Pictures with zeros below and to the right, as large as the finest map unfolded."""
    down, across = finest[1] * fold - x.shape[2], finest[2] * fold - x.shape[3]
    return F.pad(x, (0, across, 0, down)) if down or across else x


def _trunk(inputs: int, width: int, depth: int, dropout: float) -> tuple[nn.Module, int]:
    """A network up to its last hidden layer, and its width."""
    if depth == 0:
        return nn.Identity(), inputs
    net = Mlp(inputs, 0, width, depth, norm="layer", dropout=dropout)
    net.last = nn.Identity()  # type: ignore[assignment]
    return net, width
