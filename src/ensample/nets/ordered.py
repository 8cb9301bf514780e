"""What networks that predict columns one after the other are given, and what they give back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Ordered:
    """Rows whose columns are looked at in an order, each row in its own.

    Arguments:
        embedded: inputs [rows, inputs, width] as vectors.
        known: [rows, inputs] 1 where an input is known, else 0.
        seen_at: [rows, inputs] int64, place of each input in the order; -1 for what is given from the start.
        place: [rows, targets] int64, place of each target: 0 is predicted first.
    """

    embedded: Tensor
    known: Tensor
    seen_at: Tensor
    place: Tensor

    def use(self) -> Tensor:
        """Which inputs serve which target: known and earlier, [rows, targets, inputs] of the type of `known`."""
        return self.known[:, None, :] * (self.seen_at[:, None, :] < self.place[:, :, None])

    def use_of(self, column: int) -> Tensor:
        """The same for one target, [rows, inputs]."""
        return self.known * (self.seen_at < self.place[:, column, None])


class Trunk(Protocol):
    """A network that gives each target a hidden state which depends on known earlier inputs alone."""

    def states(self, rows: Ordered) -> Tensor:
        """Of all targets in one pass, [targets, rows, width]."""
        ...

    def state(self, column: int, rows: Ordered) -> Tensor:
        """Of one target, [rows, width]: the same numbers up to rounding, at less cost."""
        ...


class Embedding(nn.Module):
    """Columns as vectors: a table over the bins of each, plus a slope times the value of a number.

    Arguments:
        inputs: standardised middles [bins] of each column's bins; the number of classes of one that has no order.
        width: of the vectors.
        scale: of the initial vectors.
        generator: of the initial vectors.
    """

    start: Tensor

    def __init__(self, inputs: Sequence[Tensor | int], width: int, scale: float, generator: Generator) -> None:
        super().__init__()
        sizes = [c if isinstance(c, int) else len(c) for c in inputs]
        self.register_buffer("start", torch.tensor([0, *sizes])[:-1].cumsum(0), persistent=False)
        tables = [_waves(c, width, generator) for c in inputs]
        self.table = nn.Parameter(torch.cat([torch.zeros(0, width), *tables]) * scale)
        self.slope: nn.Parameter | None = None
        if not all(isinstance(c, int) for c in inputs):
            self.slope = nn.Parameter(normal((len(inputs), width), scale, generator))

    def forward(self, index: Tensor, values: Tensor) -> Tensor:
        """Bins [rows, inputs] int64 and standardised values [rows, inputs] (0 for classes) as [rows, inputs, width]."""
        out = F.embedding(index + self.start, self.table)
        return out if self.slope is None else torch.addcmul(out, values[:, :, None], self.slope)


def normal(shape: tuple[int, ...], scale: float, generator: Generator) -> Tensor:
    """Normal numbers of mean 0 and this standard deviation."""
    return torch.randn(shape, generator=generator) * scale


def _waves(centers: Tensor | int, width: int, generator: Generator) -> Tensor:
    """Start of an embedding table [bins, width]: smooth in value and rank for numbers, independent for classes."""
    if isinstance(centers, int):
        return normal((centers, width), 1.0, generator)
    place = torch.stack([centers.to(torch.float32).clamp(-4, 4), torch.linspace(-1.7, 1.7, len(centers))], 1)
    phase = torch.rand(width, generator=generator) * 2 * math.pi
    return math.sqrt(2) * torch.sin(place @ normal((2, width), 1.5, generator) + phase)
