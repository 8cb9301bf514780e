"""What a distribution of numbers over cells is, and where the cells of all columns lie, for all columns at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from ensample.events import Lattice

FAR = 2**50
"""Cells beyond this are as far as numbers go: float64 keeps them whole."""
FINE = 1e4
"""From here on, in cells from the centre, the width of a cell is its slope: relative error below 1e-9."""
ALL = slice(None)


class Lattices:
    """The lattices of several columns side by side, as tensors [columns].

    Example:
        >>> both = Lattices([Lattice(0, 9, shift=4.5, scale=3.0), Lattice(1, 100, knee=2.0)])
        >>> both.cells(both.encode(torch.tensor([[7.0, 60.0]]))).tolist()
        [[7, 60]]
    """

    def __init__(self, lattices: Sequence[Lattice]) -> None:
        def row(name: str) -> Tensor:
            return torch.tensor([float(getattr(lattice, name)) for lattice in lattices], dtype=torch.float64)

        self.low, self.high, self.shift, self.scale = row("low"), row("high"), row("shift"), row("scale")
        self.center, self.knee = row("center"), row("knee")
        self.bent = torch.isfinite(self.knee)
        self.bend = torch.where(self.bent, self.knee, 1.0)

    def __len__(self) -> int:
        return len(self.shift)

    def encode(self, position: Tensor, at: slice = ALL) -> Tensor:
        """Real numbers of cell positions [..., columns], float64; `at` says which columns these are."""
        position = position.to(torch.float64) - self.center[at]
        if bool(self.bent[at].any()):
            bend = self.bend[at]
            position = torch.where(self.bent[at], bend * torch.asinh(position / bend), position)
        return (position - self.shift[at]) / self.scale[at]

    def cells(self, x: Tensor, at: slice = ALL) -> Tensor:
        """The cells that hold real numbers [..., columns]: inverse of `encode`, int64."""
        warped = x.to(torch.float64) * self.scale[at] + self.shift[at]
        if bool(self.bent[at].any()):
            bend = self.bend[at]
            warped = torch.where(self.bent[at], bend * torch.sinh((warped / bend).clamp(-700, 700)), warped)
        position = (warped + self.center[at]).nan_to_num(0.0, FAR, -FAR).clamp(-FAR, FAR)
        return torch.round(position).to(torch.int64)

    def interval(self, low: Tensor, high: Tensor, at: slice = ALL) -> tuple[Tensor, Tensor, Tensor]:
        """Lower and upper edge and log half-width of the cells low to high [..., columns]; float64.

        The width of a narrow cell is no difference of its edges, which would cancel, but its slope.
        """
        low, high = low.to(torch.float64), high.to(torch.float64)
        a, b = self.encode(low - 0.5, at), self.encode(high + 0.5, at)
        distance = (low - self.center[at]).abs()
        slope = -0.5 * torch.log1p((distance / self.knee[at]).square()) - torch.log(self.scale[at])
        narrow = (low == high) & (distance + self.knee[at] > FINE)
        width = torch.where(narrow, torch.exp(slope), b - a).clamp(min=1e-37)
        return a, b, torch.log(width / 2)


class Numbers(nn.Module):
    """Distributions of the numbers of an event over their cells, from parameters [rows, columns, outputs].

    Abstract. Columns are independent given their parameters. `at` picks one column (parameters [rows, 1, outputs]) or
    all. Parameters may be float32 or float64; results have their type.
    """

    outputs: int
    lattices: Lattices

    @abstractmethod
    def begin(self, cells: Tensor, mask: Tensor) -> Tensor:
        """Parameters [columns, outputs] that fit each column of training cells [rows, columns] by itself."""

    @abstractmethod
    def log_prob(self, raw: Tensor, cells: Tensor, at: slice = ALL) -> Tensor:
        """Log-probability of cells [rows, columns], nats."""

    @abstractmethod
    def log_within(self, raw: Tensor, low: Tensor, high: Tensor, at: slice = ALL) -> Tensor:
        """Log-probability that `draw` would lie in the cells low to high (inclusive) [rows, columns]."""

    @abstractmethod
    def draw(self, raw: Tensor, low: Tensor, high: Tensor, generator: Generator, at: slice = ALL) -> Tensor:
        """Cells [rows, columns] from the distribution within low to high (inclusive)."""

    @abstractmethod
    def mean(self, raw: Tensor, at: slice = ALL) -> Tensor:
        """Mean of the real numbers [rows, columns]."""


def uniform(like: Tensor, generator: Generator) -> Tensor:
    """Uniform numbers in (0, 1) of a shape, float64."""
    return torch.rand(like.shape, generator=generator, dtype=torch.float64).clamp(2.0**-60, 1 - 2.0**-53)


def quantiles(lattices: Lattices, cells: Tensor, mask: Tensor, count: int) -> Tensor:
    """Real numbers [columns, count] at the middles of `count` equal shares of each column; 0 for an empty column."""
    shares = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    out = torch.zeros(len(lattices), count, dtype=torch.float64)
    x = lattices.encode(cells)
    for j in range(len(lattices)):
        if bool(mask[:, j].any()):
            known = x[mask[:, j], j].sort().values
            out[j] = known[(shares * len(known)).to(torch.int64)]
    return out
