"""Bins: any span as a distribution over at most a few hundred indices, times a fixed distribution inside each bin.

Families that predict one coordinate at a time (boosted digits, autoregressive nets, independent columns) all need a
small number of outcomes. Every frequent cell gets a bin of its own, rare neighbours share one. What happens inside a
bin is fixed on the training column: uniform over cells for numbers, by frequency for classes. The sum over all cells
is one: cells in the gaps between bins and beyond both ends keep a small escape probability, which is for scoring only
(samples stay where data was seen).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import Continuous, Discrete

ESCAPE_ROWS = 1.0
"""The escape mass of a column of n rows is ESCAPE_ROWS / (n + ESCAPE_ROWS): as if one more row had fallen outside."""


@dataclass(frozen=True)
class Bins:
    """Bins of one span.

    `first`, `last` [bins] int64 are the smallest and largest cell met in each bin, ascending and disjoint. `weights`
    [classes] float64 (Discrete only) is the share of each class inside its bin. `escape` is the probability of a cell
    in no bin (Continuous only).
    """

    first: Tensor
    last: Tensor
    escape: float = 0.0
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def fit(cls, event: Continuous | Discrete, cells: np.ndarray, most: int = 256) -> Bins:
        """Bins for the known cells of a training column."""
        if isinstance(event, Discrete):
            return cls._of_classes(event.classes, cells, most)
        if len(cells) == 0:
            cells = np.array([(event.lattice.low + event.lattice.high) // 2])
        values, counts = np.unique(cells, return_counts=True)
        groups = _grouped(values, counts, most)
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        ends = np.r_[starts[1:], len(values)] - 1
        escape = ESCAPE_ROWS / (len(cells) + ESCAPE_ROWS)
        return cls(torch.from_numpy(values[starts]), torch.from_numpy(values[ends]), escape)

    @classmethod
    def _of_classes(cls, classes: int, cells: np.ndarray, most: int) -> Bins:
        counts = np.bincount(cells, minlength=classes) + 0.5
        groups = _grouped(np.arange(classes), counts, most)
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        ends = np.r_[starts[1:], classes] - 1
        inside = counts / np.add.reduceat(counts, starts)[groups]
        return cls(torch.from_numpy(starts), torch.from_numpy(ends), 0.0, torch.from_numpy(inside))

    def index(self, cells: Tensor) -> Tensor:
        """The bin of each cell, or the nearest one for a cell in no bin. int64."""
        right = torch.searchsorted(self.first, cells.contiguous(), right=True) - 1
        right = right.clamp(min=0)
        following = (right + 1).clamp(max=len(self) - 1)
        nearer = (self.first[following] - cells) < (cells - self.last[right])
        return torch.where(nearer & (cells > self.last[right]), following, right)

    def log_inside(self, cells: Tensor, index: Tensor) -> Tensor:
        """Log-probability of each cell given its bin, float64: escape for cells in no bin."""
        if self.weights is not None:
            return torch.log(self.weights[cells])
        first, last = self.first[index], self.last[index]
        below, above = self._room(index)
        sides = (below != 0).to(torch.float64) + (above != 0)
        escape = self.escape * (sides > 0).to(torch.float64)
        inside = torch.log1p(-escape) - torch.log((last - first + 1).to(torch.float64))
        distance = torch.maximum(first - cells, cells - last)
        room = torch.where(cells < first, below, above)
        outside = torch.log(escape / sides) + _outside(distance, room)
        return torch.where(distance > 0, outside, inside)

    def _room(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Cells outside each bin that `index` sends to it: (below, above), -1 for no end."""
        gap = self.first[1:] - self.last[:-1] - 1
        upper = gap // 2  # the cells of a gap nearer to the bin above it
        endless = torch.tensor([-1])
        return torch.cat([endless, upper])[index], torch.cat([gap - upper, endless])[index]

    def draw_inside(
        self, index: Tensor, generator: Generator, ranges: tuple[tuple[int, int], ...] | None = None
    ) -> Tensor:
        """A cell of each bin, within the allowed ranges if there are any (which must meet the bin). int64."""
        u = torch.rand(index.shape, generator=generator, dtype=torch.float64)
        first, last = self.first[index], self.last[index]
        if self.weights is not None:
            return _draw_classes(self._cumulative(ranges), first, last, u)
        if ranges is None:
            return first + (u * (last - first + 1)).to(torch.int64)
        allowed = _Allowed.of(ranges)
        before = allowed.up_to(first - 1)
        return allowed.cell(before + (u * (allowed.up_to(last) - before)).to(torch.int64))

    def share(self, ranges: tuple[tuple[int, int], ...]) -> Tensor:
        """Probability [bins] that a cell of each bin lies within the ranges (escape apart)."""
        if self.weights is not None:
            cumulative = self._cumulative(ranges)
            return (cumulative[self.last + 1] - cumulative[self.first]).clamp(max=1.0)
        allowed = _Allowed.of(ranges)
        inside = allowed.up_to(self.last) - allowed.up_to(self.first - 1)
        return inside.to(torch.float64) / (self.last - self.first + 1)

    def _cumulative(self, ranges: tuple[tuple[int, int], ...] | None) -> Tensor:
        """Total weight [classes + 1] of the allowed classes before each class."""
        assert self.weights is not None
        weights = self.weights
        if ranges is not None:
            classes = torch.arange(len(weights))
            weights = torch.where(_Allowed.of(ranges).contains(classes), weights, 0.0)
        return torch.cat([torch.zeros(1, dtype=torch.float64), weights.cumsum(0)])

    def middle(self) -> Tensor:
        """Mean cell position of each bin, float64 [bins]."""
        return (self.first + self.last).to(torch.float64) / 2

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        state = {"first": self.first, "last": self.last, "escape": torch.tensor([self.escape], dtype=torch.float64)}
        return state if self.weights is None else {**state, "weights": self.weights}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Bins:
        """Inverse of `arrays`."""
        return cls(arrays["first"], arrays["last"], float(arrays["escape"][0]), arrays.get("weights"))


@dataclass(frozen=True)
class _Allowed:
    """A union of ranges as disjoint ascending pieces; `before` [pieces + 1] is how many cells lie before each."""

    low: Tensor
    high: Tensor
    before: Tensor

    @classmethod
    def of(cls, ranges: tuple[tuple[int, int], ...]) -> _Allowed:
        pieces: list[list[int]] = []
        for low, high in sorted(r for r in ranges if r[0] <= r[1]):
            if pieces and low <= pieces[-1][1] + 1:
                pieces[-1][1] = max(pieces[-1][1], high)
            else:
                pieces.append([low, high])
        ends = torch.tensor(pieces, dtype=torch.int64).reshape(-1, 2)
        sizes = ends[:, 1] - ends[:, 0] + 1
        before = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
        return cls(ends[:, 0].contiguous(), ends[:, 1].contiguous(), before)

    def contains(self, cells: Tensor) -> Tensor:
        return self.up_to(cells) > self.up_to(cells - 1)

    def up_to(self, cells: Tensor) -> Tensor:
        """How many allowed cells are at most these."""
        if not len(self.low):
            return torch.zeros_like(cells)
        piece = torch.searchsorted(self.low, cells, right=True) - 1
        at = piece.clamp(min=0)
        within = torch.minimum(cells, self.high[at]) - self.low[at] + 1
        return torch.where(piece >= 0, self.before[at] + within, 0)

    def cell(self, number: Tensor) -> Tensor:
        """The allowed cell with this many allowed cells below it: inverse of `up_to`, less one."""
        piece = torch.searchsorted(self.before, number, right=True) - 1
        return self.low[piece] + number - self.before[piece]


def _draw_classes(cumulative: Tensor, first: Tensor, last: Tensor, u: Tensor) -> Tensor:
    """A class of each bin in proportion to its weight, by inversion of the bin's piece of the cumulative weights."""
    low, high = cumulative[first], cumulative[last + 1]
    place = torch.minimum(low + u * (high - low), torch.nextafter(high, low))
    drawn = torch.searchsorted(cumulative, place, right=True) - 1
    return torch.minimum(torch.maximum(drawn, first), last)


def _outside(distance: Tensor, room: Tensor) -> Tensor:
    """Log-probability of lying `distance` >= 1 cells off: 1 / (t (t + 1)) without end, else uniform over `room`."""
    t = distance.clamp(min=1).to(torch.float64)
    return torch.where(room < 0, -torch.log(t) - torch.log1p(t), -torch.log(room.clamp(min=1).to(torch.float64)))


def _grouped(values: np.ndarray, counts: np.ndarray, most: int, gap: float = 0.05) -> np.ndarray:
    """Group number of each distinct value: frequent values alone, rare neighbours together, never across a wide gap."""
    if len(values) <= most:
        return np.arange(len(values))
    share = counts / counts.sum()
    alone = share >= 1.0 / most
    room = max(1, most - 2 * int(alone.sum()) - 8)
    steps = np.diff(values, prepend=values[0])
    wide = steps > max(gap * (values[-1] - values[0]), 10 * np.median(steps[1:]))
    breaks = wide | alone | np.r_[False, alone[:-1]]
    rest = np.where(alone, 0.0, share)
    level = np.floor(np.cumsum(rest) / rest.sum() * room * (1 - 1e-12)).astype(np.int64)
    breaks |= np.diff(level, prepend=level[0]) > 0
    groups: np.ndarray = np.cumsum(breaks) - breaks[0]
    return groups


def fit_all(event: Any, table: np.ndarray, absent: int, most: int = 256) -> tuple[Bins, ...]:
    """Bins of every span of a mixed event, from a table of cells [rows, spans] in which `absent` marks no value."""
    return tuple(Bins.fit(s.event, table[table[:, j] != absent, j], most) for j, s in enumerate(event.spans))
