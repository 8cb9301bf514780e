"""WaveNet: causal convolutions whose reach doubles from layer to layer."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.dropout import Dropout
from ensample.nets.sequences.trunk import Memory, SequenceTrunk, before, behind, linear
from ensample.nets.transformer import rms


class WaveNet(SequenceTrunk):
    """Gated dilated causal convolutions of two taps (van den Oord et al., WaveNet, 2016).

    Layer l mixes each token with the one `2^(l mod cycle)` places before: `x = x + M (tanh(f) * sigmoid(g))`, where f
    and g are linear in both, each normalised. All layers are summed in the outputs (skip connections). A convolution
    does not reach over the beginning of a record. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        width: channels.
        layers: of two taps each.
        cycle: dilations are 1, 2, 4, ... `2^(cycle - 1)`, and from 1 again.
        dropout: share left out, in training, of what each layer adds.

    Example:
        >>> net = WaveNet(4, 3, cycle=3)
        >>> net(torch.zeros(2, 5, 4), None).shape
        torch.Size([2, 5, 4])
        >>> net.dilations
        (1, 2, 4)
    """

    def __init__(self, width: int, layers: int, *, cycle: int, dropout: float = 0.0) -> None:
        super().__init__(width)
        self.dilations = tuple(2 ** (layer % cycle) for layer in range(layers))
        self.layers = nn.ModuleList(Layer(width, dropout) for _ in range(layers))

    def forward(self, x: Tensor, begins: Tensor | None) -> Tensor:
        """What comes before the beginning of a token's own record counts as 0."""
        record = None if begins is None else begins.cumsum(1)
        total = torch.zeros_like(x)
        for layer, dilation in zip(self._layers(), self.dilations, strict=True):
            x = layer(n := rms(x), x, before(n, dilation, _same(record, dilation, x)))
            total = total + x
        return total

    def read(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """Keeps, of each layer, as many inputs as its dilation."""
        total, queues = torch.zeros_like(x), []
        for layer, dilation in zip(self._layers(), self.dilations, strict=True):
            n = rms(x)
            place = lengths[:, None] - dilation + torch.arange(dilation)
            last = n.gather(1, place.clamp(min=0)[:, :, None].expand(-1, -1, x.shape[2]))
            queues.append(torch.where(place[:, :, None] >= 0, last, 0.0).transpose(0, 1).contiguous())
            x = layer(n, x, before(n, dilation, None))
            total = total + x
        return behind(total, lengths), Queues(self, queues)

    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]


class Layer(nn.Module):
    """One gated convolution.

    Arguments:
        width, dropout: as of `WaveNet`.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.gates = linear(2 * width, 2 * width)
        self.mix = linear(width, width, 0.0)
        self.drop = Dropout(dropout)

    def forward(self, n: Tensor, x: Tensor, early: Tensor) -> Tensor:
        """Tokens [.., width], their norms, and the norms of those that many places before."""
        f, g = self.gates(torch.cat([early, n], -1)).chunk(2, -1)
        inner = (2.0 * torch.sigmoid(2.0 * f) - 1.0) * torch.sigmoid(g)  # tanh, which is slow, by sigmoid
        out: Tensor = x + self.drop(self.mix(inner).to(x.dtype))
        return out


class Queues(Memory):
    """The last inputs of every layer [dilation, rows, width]; `time` tells which of them is the oldest."""

    def __init__(self, net: WaveNet, queues: list[Tensor], time: int = 0) -> None:
        self.net, self.queues, self.time = net, queues, time

    def step(self, x: Tensor) -> Tensor:
        """One token through all layers."""
        total = torch.zeros_like(x)
        for layer, queue, dilation in zip(self.net.layers, self.queues, self.net.dilations, strict=True):
            n, oldest = rms(x), self.time % dilation
            x = layer(n, x, queue[oldest])
            queue[oldest] = n
            total = total + x
        self.time += 1
        return total

    def take(self, rows: Tensor) -> Self:
        """Copies of the queues."""
        return type(self)(self.net, [queue[:, rows] for queue in self.queues], self.time)

    def put(self, rows: Tensor, other: Self) -> None:
        """Copies into the queues, turned so that the oldest stand where they stand here."""
        for mine, new, dilation in zip(self.queues, other.queues, self.net.dilations, strict=True):
            mine[:, rows] = new.roll((self.time - other.time) % dilation, 0)


def _same(record: Tensor | None, distance: int, x: Tensor) -> Tensor | None:
    """1 where the token so many places before is of the same record, [rows, tokens, 1]."""
    if record is None:
        return None
    early = F.pad(record, (distance, 0), value=-1)[:, : record.shape[1]]
    return (early == record)[:, :, None].to(x.dtype)
