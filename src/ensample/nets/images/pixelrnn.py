"""PixelRNN: a row LSTM, whose memory goes down the picture row by row."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.pixelnear import Near, Told
from ensample.nets.images.pixels import PixelTrunk, Scan, given_weights, weights

SMALL = 0.3
"""Size of the first weights of what a layer adds to its input."""


class PixelRnn(PixelTrunk):
    """Row LSTM (van den Oord, Kalchbrenner and Kavukcuoglu, Pixel recurrent neural networks, 2016).

    All pixels of a row are computed at once. The gates of a pixel come from a convolution of its own and its left
    neighbour's input, and from one of the three states above it; its memory is that of the pixel above. What is far to
    the right above is outside the triangle that a pixel sees; the first layer (`Near`) widens it by its reach.

    Arguments:
        inputs, outputs, size: as of `PixelTrunk`.
        given: width of the given fields, which shift the gates of every layer.
        width: channels and units of memory.
        layers: one above the other, each adding to its input.
        reach: of the first convolution, in pixels.
        dropout: share of states left out in training, on their way to the next layer.

    Example:
        >>> net = PixelRnn(1, 2, (4, 4), 0, width=8, layers=1, reach=2)
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
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs, size)
        self.width = width
        self.near = Near(inputs, width, size, reach)
        self.layers = nn.ModuleList(RowLstm(width, given, dropout) for _ in range(layers))
        self.inner, self.inner_bias = weights(width, width), nn.Parameter(torch.zeros(width))
        self.out = weights(outputs, width, SMALL)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Parameters [rows, pixels, outputs] of pictures [rows, inputs, height, width]."""
        h = self.near(x).permute(1, 2, 0, 3)  # [height, width, rows, channels]
        for layer in self.layers:
            h = layer(h, cond)
        return self.outlet(h).permute(2, 0, 1, 3).flatten(1, 2)

    def outlet(self, h: Tensor) -> Tensor:
        """Parameters of pixels [.., outputs] from their channels [.., width]."""
        return F.linear(F.relu(F.linear(F.relu(h), self.inner, self.inner_bias)), self.out)

    def scan(self, cond: Tensor) -> Scan:
        """What the states above say is computed once a row."""
        return RnnScan(self, cond)


class RowLstm(nn.Module):
    """One layer: `c = f * c_above + i * tanh(g)`, `h = o * tanh(c)`, and the input plus `M h` goes on.

    Arguments:
        width: channels.
        given: width of the given fields.
        dropout: share of states left out in training.
    """

    def __init__(self, width: int, given: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.states, self.taps = weights(4 * width, 3 * width), weights(4 * width, 2 * width)
        self.bias = nn.Parameter(torch.zeros(4 * width))
        self.given = given_weights(4 * width, given)
        self.mix = weights(width, width, SMALL)
        self.drop = nn.Dropout(dropout)
        with torch.no_grad():
            self.bias[width : 2 * width] = 1.0  # it forgets little at first (Jozefowicz et al. 2015)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Channels [height, width, rows, channels]."""
        left = F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1]
        gates = F.linear(torch.cat([left, x], 3), self.taps)
        h = memory = torch.zeros_like(gates[0, ..., : self.width])
        rows = []
        for row in gates.unbind():
            h, memory = self.cell(row + self.above(h, cond), memory)
            rows.append(h)
        return x + F.linear(self.drop(torch.stack(rows)), self.mix)

    def above(self, h: Tensor, cond: Tensor) -> Tensor:
        """What the states of the row above [width, rows, channels], and all shifts, add to the gates of a row."""
        near = torch.cat([F.pad(h, (0, 0, 0, 0, 1, 0))[:-1], h, F.pad(h, (0, 0, 0, 0, 0, 1))[1:]], 2)
        return F.linear(near, self.states) + F.linear(cond, self.given, self.bias)

    def cell(self, gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """State and memory [.., channels] from gates [.., 4 channels] and the memory above."""
        i, f, o, g = gates.chunk(4, -1)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(memory), memory


class RnnScan(Scan):
    """Row by row what lies above, pixel by pixel what lies to the left."""

    def __init__(self, net: PixelRnn, cond: Tensor) -> None:
        self.net, self.cond = net, cond
        shape = (net.size[1], len(cond), net.width)
        self.told = Told(len(cond), net.inputs, shape[0], net.near.reach, net.near.before)
        self.layers = [layer for layer in net.layers if isinstance(layer, RowLstm)]
        self.states, self.memories = ([torch.zeros(shape) for _ in self.layers] for _ in range(2))
        self.left = [torch.zeros(shape[1:]) for _ in self.layers]
        self.start, self.shifts = torch.empty(0), [torch.empty(0)] * len(self.layers)

    def next(self) -> Tensor:
        """From the pixels to the left and what is kept."""
        row, column = self.told.place
        if column == 0:
            self.start = self.net.near.row(self.told.above, row)
            self.shifts = [layer.above(h, self.cond) for layer, h in zip(self.layers, self.states, strict=True)]
            self.left = [torch.zeros_like(left) for left in self.left]
        x = self.net.near.pixel(self.start[column], self.told.before())
        for i, layer in enumerate(self.layers):
            gates = torch.addmm(self.shifts[i][column], torch.cat([self.left[i], x], 1), layer.taps.t())
            h, memory = layer.cell(gates, self.memories[i][column])
            self.states[i][column], self.memories[i][column], self.left[i] = h, memory, x
            x = torch.addmm(x, h, layer.mix.t())
        return self.net.outlet(x)

    def tell(self, x: Tensor) -> None:
        """Keep the pixel."""
        self.told.tell(x)
