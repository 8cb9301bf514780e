"""Bins: any span as a distribution over at most a few hundred indices, times a fixed distribution inside each bin.

Families that predict one coordinate at a time (boosted digits, autoregressive nets, independent columns) all need a
small number of outcomes. Every frequent cell gets a bin of its own, rare neighbours share one. What happens inside a
bin is fixed on the training column: by frequency for classes; for numbers, cells met more than once (round prices,
weights shared by many rows) keep what they were met beyond once, and the rest is uniform over the bin's cells. So a
value met once is not stored, unless it ends a bin. The sum over all cells is one: cells in the gaps between bins and
beyond both ends keep a small escape probability, which is for scoring only (samples stay where data was seen).
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

ROWS_A_BIN, FEWEST = 8, 32
"""Where a column has more than FEWEST different values, a bin holds this many rows on average: fewer would copy."""


@dataclass(frozen=True)
class Bins:
    """Bins of one span.

    `first`, `last` [bins] int64 are the smallest and largest cell met in each bin, ascending and disjoint. `weights`
    [classes] float64 (Discrete only) is the share of each class inside its bin. `escape` is the probability of a cell
    in no bin (Continuous only). `favourites` [favourites] int64 are cells with a `mass` [favourites] float64 of their
    own inside their bin (absolute discounting by one row: Ney, Essen and Kneser, 1994).
    """

    first: Tensor
    last: Tensor
    escape: float = 0.0
    weights: Tensor | None = None
    favourites: Tensor | None = None
    mass: Tensor | None = None

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
        groups = _grouped(values, counts, min(most, max(FEWEST, len(cells) // ROWS_A_BIN)))
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        ends = np.r_[starts[1:], len(values)] - 1
        first, last = _widened(values[starts], values[ends], ends - starts)
        escape = ESCAPE_ROWS / (len(cells) + ESCAPE_ROWS)
        favourites = _favourites(values, counts, groups, last - first + 1)
        return cls(torch.from_numpy(first), torch.from_numpy(last), escape, None, *favourites)

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
        even = (1 - self._favoured(None)[index]) / (last - first + 1)
        inside = torch.log1p(-escape) + torch.log(even + self._mass_of(cells))
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
            return _draw_listed(self._cumulative(ranges), first, last + 1, u)
        if self.favourites is None or self.mass is None:
            return _draw_even(first, last, u, ranges)
        special, even = self._favoured(ranges)[index], self._even(ranges)[index]
        u = u * (special + even)
        rest = ((u - special) / even.clamp(min=1e-300)).clamp(0.0, 1 - 1e-12)
        cumulative = self._cumulative_mass(ranges)
        begin, end = (torch.searchsorted(self.favourites, edge) for edge in (first, last + 1))
        chosen = _draw_listed(cumulative, begin, end, u / special.clamp(min=1e-300)).clamp(max=len(self.mass) - 1)
        return torch.where(u < special, self.favourites[chosen], _draw_even(first, last, rest, ranges))

    def share(self, ranges: tuple[tuple[int, int], ...]) -> Tensor:
        """Probability [bins] that a cell of each bin lies within the ranges (escape apart)."""
        if self.weights is not None:
            cumulative = self._cumulative(ranges)
            return (cumulative[self.last + 1] - cumulative[self.first]).clamp(max=1.0)
        return (self._favoured(ranges) + self._even(ranges)).clamp(max=1.0)

    def _even(self, ranges: tuple[tuple[int, int], ...] | None) -> Tensor:
        """Probability [bins] of an allowed cell by the even part of each bin."""
        rest = 1 - self._favoured(None)
        if ranges is None:
            return rest
        allowed = _Allowed.of(ranges)
        inside = allowed.up_to(self.last) - allowed.up_to(self.first - 1)
        return rest * inside / (self.last - self.first + 1)

    def _favoured(self, ranges: tuple[tuple[int, int], ...] | None) -> Tensor:
        """Probability [bins] of an allowed favourite as such."""
        if self.favourites is None:
            return torch.zeros(len(self), dtype=torch.float64)
        cumulative = self._cumulative_mass(ranges)
        begin, end = (torch.searchsorted(self.favourites, edge) for edge in (self.first, self.last + 1))
        return cumulative[end] - cumulative[begin]

    def _cumulative_mass(self, ranges: tuple[tuple[int, int], ...] | None) -> Tensor:
        assert self.favourites is not None and self.mass is not None
        mass = self.mass
        if ranges is not None:
            mass = torch.where(_Allowed.of(ranges).contains(self.favourites), mass, 0.0)
        return torch.cat([torch.zeros(1, dtype=torch.float64), mass.cumsum(0)])

    def _mass_of(self, cells: Tensor) -> Tensor:
        """What each cell has as a favourite, 0 for the others."""
        if self.favourites is None or self.mass is None:
            return torch.zeros(cells.shape, dtype=torch.float64)
        place = torch.searchsorted(self.favourites, cells.contiguous()).clamp(max=len(self.mass) - 1)
        return torch.where(self.favourites[place] == cells, self.mass[place], 0.0)

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
        optional = {"weights": self.weights, "favourites": self.favourites, "mass": self.mass}
        return state | {name: tensor for name, tensor in optional.items() if tensor is not None}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Bins:
        """Inverse of `arrays`."""
        optional = (arrays.get(name) for name in ("weights", "favourites", "mass"))
        return cls(arrays["first"], arrays["last"], float(arrays["escape"][0]), *optional)


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


def _draw_listed(cumulative: Tensor, begin: Tensor, end: Tensor, u: Tensor) -> Tensor:
    """A number from begin to end - 1 in proportion to its weight, by inversion of the cumulative weights."""
    low, high = cumulative[begin], cumulative[end]
    place = torch.minimum(low + u * (high - low), torch.nextafter(high, low))
    drawn = torch.searchsorted(cumulative, place, right=True) - 1
    return torch.maximum(torch.minimum(drawn, end - 1), begin)


def _draw_even(first: Tensor, last: Tensor, u: Tensor, ranges: tuple[tuple[int, int], ...] | None) -> Tensor:
    """An allowed cell from first to last, each as probable as the next."""
    if ranges is None:
        return first + (u * (last - first + 1)).to(torch.int64)
    allowed = _Allowed.of(ranges)
    before = allowed.up_to(first - 1)
    return allowed.cell(before + (u * (allowed.up_to(last) - before)).to(torch.int64))


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


def _favourites(
    values: np.ndarray, counts: np.ndarray, groups: np.ndarray, widths: np.ndarray
) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Values met more than once in bins of several, and their share of the bin beyond the first row.

    Only in bins that they predict: where cells are many, chance alone meets some twice, and these tell nothing.
    """
    repeated = (counts > 1) & (np.bincount(groups)[groups] > 1) & _predictive(counts, groups, widths)[groups]
    if not repeated.any():
        return None, None
    mass = (counts - 1) / np.bincount(groups, weights=counts)[groups]
    return torch.from_numpy(values[repeated]), torch.from_numpy(mass[repeated])


def _predictive(counts: np.ndarray, groups: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Whether favourites of each bin [bins] predict its rows, each left out in turn, better than an even bin does.

    A bin has few rows, so the mean gain over all bins is added to its own.
    """
    rest = np.bincount(groups, weights=counts)[groups] - 1
    distinct = np.bincount(groups)[groups] - (counts == 1)
    share = (np.maximum(counts - 2, 0) + distinct / widths[groups]) / np.maximum(rest, 1)
    gain = np.bincount(groups, weights=counts * np.log(np.maximum(share * widths[groups], 1e-300)))
    predictive: np.ndarray = gain + gain.mean() > 0
    return predictive


def _widened(first: np.ndarray, last: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joined bins grown into the gaps around them, by at most half of the mean step between the values inside.

    Between values that lie apart the next row may fall anywhere; a value that has a bin of its own is not blurred.
    """
    margin = np.where(steps > 0, -(-(last - first) // np.maximum(2 * steps, 1)), 0)
    gap = first[1:] - last[:-1] - 1
    up, down = margin[:-1], margin[1:]
    both = (up > 0) & (down > 0)
    up = np.minimum(up, np.where(both, gap - gap // 2, gap))
    down = np.minimum(down, np.where(both, gap // 2, gap))
    return first - np.r_[0, down], last + np.r_[up, 0]


def fit_all(event: Any, table: np.ndarray, absent: int, most: int = 256) -> tuple[Bins, ...]:
    """Bins of every span of a mixed event, from a table of cells [rows, spans] in which `absent` marks no value."""
    return tuple(Bins.fit(s.event, table[table[:, j] != absent, j], most) for j, s in enumerate(event.spans))
