"""MADE over the pixels of a picture: a masked autoencoder, dense in all pixels before."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.pixels import PixelTrunk, Scan

BANDS = 4
"""Parts of a masked matrix: more of them waste less, and are smaller."""
LOCAL, FAINT = 2.0, 0.03
"""First weights fall off with the distance of two pixels over so many pixels, to so small a part."""


class PixelMade(PixelTrunk):
    """Masked autoencoder for distribution estimation (Germain, Gregor, Murray and Larochelle 2015) in raster order.

    Hidden unit k has a degree m_k, ascending: it sees the pixels before number m_k; with degree 0, given fields alone.
    `h_1 = relu(W x)`, `h_(l+1) = h_l + relu(W_l h_l)`, and pixel p has the parameters `V h + D x`, of units of degree p
    or less and of the pixels before p. All layers have the same degrees: with degrees of their own, the sums would leak
    later pixels.

    Every unit has a place, the pixel of its degree, and first weights are larger between places that are near. Weights
    lie flat: orthogonal steps of masked matrices would be spent on what the mask hides.

    Arguments:
        inputs, outputs, size: as of `PixelTrunk`.
        given: width of the given fields, which shift every hidden layer.
        width: hidden units of each layer.
        layers: hidden layers, at least 1.
        dropout: share of hidden units left out in training.

    Example:
        >>> PixelMade(1, 2, (2, 2), 0, width=6, layers=2).degree.tolist()
        [0, 0, 1, 2, 2, 3]
    """

    degree: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        given: int,
        *,
        width: int,
        layers: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs, size)
        pixels = self.pixels
        degree = torch.arange(width) * pixels // width
        self.register_buffer("degree", degree, persistent=False)
        pixel = torch.arange(pixels)
        read, write = pixel.repeat_interleave(inputs), pixel.repeat_interleave(outputs)
        self.read = Masked(read < degree[:, None], _near(size, degree, read))
        near = _near(size, degree, degree)
        self.hidden = nn.ModuleList(Masked(degree <= degree[:, None], near) for _ in range(layers - 1))
        self.write = Masked(degree <= write[:, None], _near(size, write, degree), 0.3)
        self.direct = Masked(read < write[:, None], _near(size, write, read), 0.1)
        self.bias = nn.ParameterList(torch.zeros(width) for _ in range(layers))
        self.given = nn.ParameterList(torch.randn(width * given) * 0.1 for _ in range(layers))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Parameters [rows, pixels, outputs] of pictures [rows, inputs, height, width]."""
        flat = x.flatten(2).transpose(1, 2).flatten(1)
        h = self.drop(F.relu(self.read(flat) + self._shift(0, cond)))
        for i, layer in enumerate(self.hidden):
            h = h + self.drop(F.relu(layer(h) + self._shift(i + 1, cond)))
        out: Tensor = self.write(h) + self.direct(flat)
        return out.view(len(x), self.pixels, self.outputs)

    def scan(self, cond: Tensor) -> Scan:
        """Each hidden unit is computed once, as soon as the pixels that it sees are there."""
        return MadeScan(self, cond)

    def _shift(self, layer: int, cond: Tensor) -> Tensor:
        """[rows, width]."""
        weight = self.given[layer].view(len(self.bias[layer]), -1)
        return F.linear(cond, weight, self.bias[layer])


def _near(size: tuple[int, int], ends: Tensor, starts: Tensor) -> Tensor:
    """Sizes of first weights from pixels `starts` to pixels `ends`, [ends, starts]."""
    row, column = (end[:, None] - start for end, start in zip(_place(size, ends), _place(size, starts), strict=True))
    return torch.exp(-torch.hypot(row, column) / LOCAL) + FAINT


def _place(size: tuple[int, int], pixel: Tensor) -> tuple[Tensor, Tensor]:
    return (pixel // size[1]).to(torch.float32), (pixel % size[1]).to(torch.float32)


class Masked(nn.Module):
    """A matrix whose weights count only where a mask is set.

    Later rows see more: it is kept as bands of rows, each as long as its last row sees, well below the whole.

    Arguments:
        mask: bool [outputs, inputs]; what a row sees is a first part of the inputs, longer in later rows.
        near: how large first weights are [outputs, inputs], against each other.
        scale: root of the sum of their squares in a row, on average.
    """

    def __init__(self, mask: Tensor, near: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        self.inputs = mask.shape[1]
        self.bands = nn.ParameterList()
        size = near * mask
        size = scale * size / size.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
        for i, (band, deviation) in enumerate(zip(mask.chunk(BANDS), size.chunk(BANDS), strict=True)):
            kept = band[:, : max(1, int(band.sum(1)[-1]))]
            weight = torch.randn(kept.shape) * deviation[:, : kept.shape[1]]
            self.bands.append(nn.Parameter(weight.flatten()))
            self.register_buffer(f"mask{i}", kept.to(torch.float32), persistent=False)

    def parts(self) -> list[Tensor]:
        """The bands, 0 where masked, each [outputs of the band, first inputs]."""
        masks = [getattr(self, f"mask{i}") for i in range(len(self.bands))]
        return [band.view_as(mask) * mask for band, mask in zip(self.bands, masks, strict=True)]

    def weight(self) -> Tensor:
        """The whole [outputs, inputs]."""
        return torch.cat([F.pad(part, (0, self.inputs - part.shape[1])) for part in self.parts()])

    def forward(self, x: Tensor) -> Tensor:
        """[rows, inputs] to [rows, outputs]."""
        return torch.cat([F.linear(x[:, : part.shape[1]], part) for part in self.parts()], 1)


class MadeScan(Scan):
    """Units in the order of their degrees, each from what is there already."""

    def __init__(self, net: PixelMade, cond: Tensor) -> None:
        self.net, self.at, rows = net, 0, len(cond)
        self.read, self.write, self.direct = net.read.weight(), net.write.weight(), net.direct.weight()
        self.hidden = [layer.weight() for layer in net.hidden if isinstance(layer, Masked)]
        self.shifts = [net._shift(layer, cond) for layer in range(len(net.bias))]
        self.x = torch.zeros(rows, self.read.shape[1])
        self.units = [torch.zeros(rows, len(self.read)) for _ in net.bias]
        self.known = torch.searchsorted(net.degree, torch.arange(net.pixels), right=True).tolist()

    def next(self) -> Tensor:
        """The units that the last pixel completes, then the pixel's parameters."""
        p, until = self.at, self.known[self.at]
        first, seen = self.known[p - 1] if p else 0, p * self.net.inputs
        new = slice(first, until)
        if until > first:
            units = self.shifts[0][:, new] + F.linear(self.x[:, :seen], self.read[new, :seen])
            self.units[0][:, new] = F.relu(units)
            for i, weight in enumerate(self.hidden):
                below = self.units[i]
                more = self.shifts[i + 1][:, new] + F.linear(below[:, :until], weight[new, :until])
                self.units[i + 1][:, new] = below[:, new] + F.relu(more)
        rows = slice(p * self.net.outputs, (p + 1) * self.net.outputs)
        top = F.linear(self.units[-1][:, :until], self.write[rows, :until])
        return top + F.linear(self.x[:, :seen], self.direct[rows, :seen])

    def tell(self, x: Tensor) -> None:
        """Keep the pixel."""
        self.x[:, self.at * self.net.inputs : (self.at + 1) * self.net.inputs] = x
        self.at += 1
