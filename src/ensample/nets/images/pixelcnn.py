"""PixelCNN: masked convolutions that see the rows above and the pixels to the left."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.pixelnear import Near, Told
from ensample.nets.images.pixels import PixelTrunk, Scan, given_weights, weights

SMALL = 0.3
"""Size of the first weights of what a layer adds to its input."""


class PixelCnn(PixelTrunk):
    """Gated PixelCNN (van den Oord, Kalchbrenner and Kavukcuoglu 2016; van den Oord et al. 2016).

    A first convolution reads the pixels near by: `reach` rows above, as many columns to either side there, and the row
    to the left. Layers `h + M (u * sigmoid(g))` follow, u and g being convolutions of the three pixels above, the left
    one and the pixel itself; kernels are cropped to these five, so nothing masked is computed. A single stack of such
    layers is blind to what lies far to the right above. Here the vertical stack that mends it is as wide as the
    picture: each row above enters whole, as one vector, in a small network over rows (`PixelRows`), whose products are
    large and few: most of what is to be known of the far pixels at a small part of the cost.

    Arguments:
        inputs, outputs, size: as of `PixelTrunk`.
        given: width of the given fields; they shift every layer inside its gate.
        width: channels.
        layers: gated layers.
        reach: of the first convolution, in pixels.
        row_width: hidden units of the network over rows; 0 leaves it out.
        row_layers: of that network.
        row_reach: rows above that it reads at once.
        dropout: share of channels left out in training.

    Example:
        >>> net = PixelCnn(1, 2, (4, 4), 0, width=8, layers=1, reach=2, row_width=8, row_layers=1, row_reach=2)
        >>> net(torch.zeros(3, 1, 4, 4), torch.zeros(3, 0)).shape
        torch.Size([3, 16, 2])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        given: int,
        *,
        width: int,
        layers: int,
        reach: int,
        row_width: int,
        row_layers: int = 1,
        row_reach: int = 8,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs, size)
        self.width = width
        self.near = Near(inputs, width, size, reach)
        self.rows: PixelRows | None = None
        if row_width:
            row_reach = min(row_reach, size[0])
            self.rows = PixelRows(inputs, width, size, given, row_width, row_layers, row_reach)
        self.layers = nn.ModuleList(GatedLayer(width, given, dropout) for _ in range(layers))
        self.inner, self.inner_bias = weights(width, width), nn.Parameter(torch.zeros(width))
        self.out = weights(outputs, width, SMALL)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Parameters [rows, pixels, outputs] of pictures [rows, inputs, height, width]."""
        h = self.near(x)
        if self.rows is not None:
            h = h + self.rows(x, cond)
        h = h.permute(0, 3, 1, 2)  # channels last in memory
        for layer in self.layers:
            h = layer(h, cond)
        return self.outlet(h.permute(0, 2, 3, 1).reshape(len(x), self.pixels, self.width))

    def outlet(self, h: Tensor) -> Tensor:
        """Parameters of pixels [.., outputs] from their channels [.., width]."""
        return F.linear(F.relu(F.linear(F.relu(h), self.inner, self.inner_bias)), self.out)

    def scan(self, cond: Tensor) -> Scan:
        """What lies above is computed once a row, for the whole row."""
        return CnnScan(self, cond)


class GatedLayer(nn.Module):
    """`h + M (u * sigmoid(g))`, u and g convolutions of the pixels above left, above, above right, left, and itself.

    Arguments:
        width: channels.
        given: width of the given fields, which shift u and g.
        dropout: share of channels left out in training.
    """

    def __init__(self, width: int, given: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.taps, self.bias = weights(2 * width, 5 * width), nn.Parameter(torch.zeros(2 * width))
        self.given = given_weights(2 * width, given)
        self.mix = weights(width, width, SMALL)
        self.drop = nn.Dropout(dropout)

    def forward(self, h: Tensor, cond: Tensor) -> Tensor:
        """Channels [rows, channels, height, width], channels last."""
        padded, kernel = F.pad(h, (1, 1, 1, 0)), self._kernel()
        u, g = (F.conv2d(padded, part) for part in kernel.chunk(2))  # apart: halves of one would not be contiguous
        shift = F.linear(cond, self.given, self.bias)[:, :, None, None]
        shift_u, shift_g = shift.to(u.dtype).chunk(2, 1)
        y = self.drop((u + shift_u) * torch.sigmoid(g + shift_g))
        out: Tensor = h + F.conv2d(y, self.mix[:, :, None, None])
        return out

    def above(self, h: Tensor, cond: Tensor) -> Tensor:
        """What the row above [width, rows, channels] adds to u and g of a row, with all shifts: [width, rows, 2 ..]."""
        near = torch.cat([F.pad(h, (0, 0, 0, 0, 1, 0))[:-1], h, F.pad(h, (0, 0, 0, 0, 0, 1))[1:]], 2)
        return F.linear(near, self.taps[:, : 3 * self.width]) + F.linear(cond, self.given, self.bias)

    def _kernel(self) -> Tensor:
        """[2 channels, channels, 2, 3] with a zero for the pixel to the right."""
        taps = F.pad(self.taps.view(-1, 5, self.width), (0, 0, 0, 1))
        return taps.view(-1, 2, 3, self.width).permute(0, 3, 1, 2)


class PixelRows(nn.Module):
    """A network over rows: each is a vector, and what it says of a row comes from the rows above alone.

    `g_r = relu(A (rows above) + b_r)`, then layers `g_r + D relu(U g_r + V g_(r-1) + c)`, then `width` channels of each
    pixel in the row.

    Arguments:
        inputs: numbers of a pixel.
        channels: that it gives of each pixel.
        size: height and width of the pictures.
        given: width of the given fields, which shift b.
        width: hidden units.
        layers: after the first.
        reach: rows above that it reads.
    """

    def __init__(
        self, inputs: int, channels: int, size: tuple[int, int], given: int, width: int, layers: int, reach: int
    ) -> None:
        super().__init__()
        self.inputs, self.size, self.width, self.reach = inputs, size, width, reach
        thin = max(1, channels // 4)
        self.read = weights(width, inputs * reach * size[1])
        self.place = nn.Parameter(torch.zeros(size[0] * width))
        self.given = given_weights(width, given)
        self.up = nn.ParameterList(weights(width, 2 * width) for _ in range(layers))
        self.up_bias = nn.ParameterList(torch.zeros(width) for _ in range(layers))
        self.down = nn.ParameterList(weights(width, width, SMALL) for _ in range(layers))
        self.spread = weights(size[1] * thin, width, 0.5)
        self.mix = weights(channels, thin)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Channels [rows, height, width, channels] of pictures [rows, inputs, height, width]."""
        height, k = self.size[0], self.reach
        padded = F.pad(x.transpose(1, 2).flatten(2), (0, 0, k, 0))  # [rows, k + height, inputs * width]
        window = torch.cat([padded[:, i : i + height] for i in range(k)], 2)
        g = F.relu(F.linear(window, self.read) + self._place() + F.linear(cond, self.given)[:, None])
        for layer in range(len(self.up)):
            g = self.layer(layer, g, F.pad(g, (0, 0, 1, 0))[:, :height])
        return self.channels(g)

    def first(self, x: Tensor, row: int, cond: Tensor) -> Tensor:
        """Units [rows, width] of one row from the rows above it, [rows, inputs, reach, width]."""
        window = x.transpose(1, 2).flatten(1)
        return F.relu(F.linear(window, self.read) + self._place()[row] + F.linear(cond, self.given))

    def layer(self, layer: int, g: Tensor, before: Tensor) -> Tensor:
        """Units of the next layer from those of this row and of the row before."""
        up, bias, down = self.up[layer], self.up_bias[layer], self.down[layer]
        return g + F.linear(F.relu(F.linear(torch.cat([g, before], -1), up, bias)), down)

    def channels(self, g: Tensor) -> Tensor:
        """Channels [.., width of the picture, channels] of units [.., width]."""
        thin = F.linear(g, self.spread)
        return F.linear(thin.view(*thin.shape[:-1], self.size[1], -1), self.mix)

    def _place(self) -> Tensor:
        return self.place.view(self.size[0], self.width)


class CnnScan(Scan):
    """Row by row: what lies above once for all pixels of the row; then pixel by pixel, what lies to the left."""

    def __init__(self, net: PixelCnn, cond: Tensor) -> None:
        self.net, self.cond = net, cond
        rows, wide, near = len(cond), net.size[1], net.near.reach
        kept = near if net.rows is None else max(near, net.rows.reach)
        self.told = Told(rows, net.inputs, wide, kept, net.near.before)
        self.layers = [LayerScan(layer, wide, cond) for layer in net.layers if isinstance(layer, GatedLayer)]
        self.before = [torch.zeros(rows, net.rows.width) for _ in net.rows.up] if net.rows is not None else []
        self.start: Sequence[Tensor] = ()

    def next(self) -> Tensor:
        """From the pixels to the left and what is kept."""
        row, column = self.told.place
        if column == 0:
            self._begin(row)
        h = self.net.near.pixel(self.start[column], self.told.before())
        for layer in self.layers:
            h = layer.step(column, h)
        return self.net.outlet(h)

    def tell(self, x: Tensor) -> None:
        """Keep the pixel."""
        self.told.tell(x)

    def _begin(self, row: int) -> None:
        """What the rows above say of all pixels of this row."""
        net, above = self.net, self.told.above
        start = net.near.row(above, row)
        for layer in self.layers:
            layer.begin()
        if net.rows is not None:
            g = net.rows.first(above[:, :, above.shape[2] - net.rows.reach :], row, self.cond)
            for i, before in enumerate(self.before):
                self.before[i], g = g, net.rows.layer(i, g, before)
            start = start + net.rows.channels(g).transpose(0, 1)
        self.start = start.unbind()


class LayerScan:
    """One gated layer, pixel by pixel: it keeps its inputs of the row above and of this one."""

    def __init__(self, layer: GatedLayer, wide: int, cond: Tensor) -> None:
        self.layer, self.cond = layer, cond
        self.beside, self.mix = layer.taps[:, 3 * layer.width :].t().contiguous(), layer.mix.t().contiguous()
        self.row = [torch.zeros(len(cond), layer.width)] * (wide + 1)  # a zero, then the inputs of a row
        self.above: Sequence[Tensor] = ()

    def begin(self) -> None:
        """What the row above says of all pixels of the next row."""
        self.above = self.layer.above(torch.stack(self.row[1:]), self.cond).unbind()

    def step(self, column: int, h: Tensor) -> Tensor:
        """What the layer makes of the channels [rows, channels] of the pixel in this column."""
        self.row[column + 1] = h
        u, g = torch.addmm(self.above[column], torch.cat([self.row[column], h], 1), self.beside).chunk(2, 1)
        return torch.addmm(h, u * torch.sigmoid(g), self.mix)
