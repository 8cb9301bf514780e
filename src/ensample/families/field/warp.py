"""Numbers as a field sees them: normal scores, so that every column alone is already a standard normal.

A column's cell positions go through its distribution function and the quantiles of the normal. Frequent cells become
wide, so that a field needs little precision to hit them, and skew and outliers vanish. What is left to learn is how
columns depend on each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ensample.events import Continuous, Lattice

TAIL = 0.1
"""Share of the rows at each end whose mean slope goes on beyond the last knot."""
GAP = 0.25
"""A group of cells is broken where a gap takes more than this share of its length: nothing was met there."""
LEAST_ROWS, SURE, MOST_HALVINGS = 32, 4.0, 8
"""A group of at least so many rows is halved if the rows of a half are so many standard deviations off."""


class Scale(Protocol):
    """A strictly increasing map from cell positions to the numbers that a field moves."""

    def score(self, position: Tensor) -> Tensor:
        """The number at a position, float64."""
        ...

    def log_slope(self, position: Tensor) -> Tensor:
        """Log of d number / d position, float64."""
        ...

    def position(self, score: Tensor) -> Tensor:
        """Inverse of `score`, float64."""
        ...


@dataclass(frozen=True)
class Straight:
    """The lattice's own standardised numbers."""

    lattice: Lattice

    def score(self, position: Tensor) -> Tensor:
        """`lattice.encode`."""
        return self.lattice.encode(position)

    def log_slope(self, position: Tensor) -> Tensor:
        """`lattice.log_slope`."""
        return self.lattice.log_slope(position)

    def position(self, score: Tensor) -> Tensor:
        """`lattice.position`."""
        return self.lattice.position(score)


@dataclass(frozen=True)
class Warp:
    """`z = Phi^-1(F(position))` with F linear between knots, z linear beyond them; strictly increasing.

    Arguments:
        knots: positions [knots] float64, ascending; a cell k reaches from k - 1/2 to k + 1/2.
        shares: F at the knots [knots] float64, ascending in (0, 1).

    Example:
        >>> warp = Warp.fit(Continuous(Lattice(0, 9)), np.array([1, 2, 2, 3, 7]), most=8)
        >>> position = torch.tensor([-3.0, 2.25, 50.0])
        >>> bool(torch.allclose(warp.position(warp.score(position)), position.double()))
        True
    """

    knots: Tensor
    shares: Tensor

    @classmethod
    def fit(cls, event: Continuous, cells: np.ndarray, most: int) -> Warp:
        """From the known cells of a training column, with about `most` groups of equal weight.

        Every cell that holds a group's weight has its own knots; gaps hold one row; groups of uneven density, as at the
        edges of a peak, are halved.
        """
        if len(cells) == 0:
            cells = np.array([(event.lattice.low + event.lattice.high) // 2])
        values, counts = np.unique(cells, return_counts=True)
        first, last, mass = _groups(values, counts, most)
        knots = np.stack([first - 0.5, last + 0.5], 1).ravel()
        weights = np.insert(mass.astype(float), np.arange(1, len(mass)), np.where(first[1:] > last[:-1] + 1, 1.0, 0.0))
        below = 0.5 + np.concatenate([[0.0], np.cumsum(weights)])
        distinct = np.r_[True, np.diff(knots) > 0]
        return cls(torch.from_numpy(knots[distinct]), torch.from_numpy(below[distinct] / (weights.sum() + 1.0)))

    @property
    def _ends(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score of the first and last knot, and the slopes beyond them."""
        scores = torch.special.ndtri(self.shares)
        near = int((self.shares < TAIL).sum().clamp(1, len(self.shares) - 1))
        far = int((self.shares <= 1 - TAIL).sum().clamp(1, len(self.shares) - 1)) - 1
        low = (scores[near] - scores[0]) / (self.knots[near] - self.knots[0])
        high = (scores[-1] - scores[far]) / (self.knots[-1] - self.knots[far])
        return scores[0], scores[-1], low, high

    def score(self, position: Tensor) -> Tensor:
        """Normal scores of positions, float64."""
        return self._both(position)[0]

    def log_slope(self, position: Tensor) -> Tensor:
        """Log of d score / d position, float64."""
        return self._both(position)[1]

    def _both(self, position: Tensor) -> tuple[Tensor, Tensor]:
        position = position.to(torch.float64)
        first, last, low, high = self._ends
        piece = (torch.searchsorted(self.knots, position.contiguous(), right=True) - 1).clamp(0, len(self.knots) - 2)
        rate = (self.shares[1:] - self.shares[:-1]) / (self.knots[1:] - self.knots[:-1])
        inside = position.clamp(self.knots[0], self.knots[-1])
        score = torch.special.ndtri(self.shares[piece] + rate[piece] * (inside - self.knots[piece]))
        slope = torch.log(rate[piece]) + 0.5 * score.square() + 0.5 * np.log(2 * np.pi)
        below, above = position < self.knots[0], position > self.knots[-1]
        score = torch.where(below, first + low * (position - self.knots[0]), score)
        score = torch.where(above, last + high * (position - self.knots[-1]), score)
        slope = torch.where(below, torch.log(low), torch.where(above, torch.log(high), slope))
        return score, slope

    def position(self, score: Tensor) -> Tensor:
        """Inverse of `score`, float64."""
        score = score.to(torch.float64)
        first, last, low, high = self._ends
        share = torch.special.ndtr(score).clamp(self.shares[0], self.shares[-1])
        piece = (torch.searchsorted(self.shares, share.contiguous(), right=True) - 1).clamp(0, len(self.shares) - 2)
        rate = (self.knots[1:] - self.knots[:-1]) / (self.shares[1:] - self.shares[:-1])
        inside = self.knots[piece] + rate[piece] * (share - self.shares[piece])
        outer = torch.where(score < first, self.knots[0] + (score - first) / low, inside)
        return torch.where(score > last, self.knots[-1] + (score - last) / high, outer)


def _groups(values: np.ndarray, counts: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last cell and rows of each group of neighbouring cells, as float64."""
    total = counts.sum()
    own = counts >= total / most
    middle = np.cumsum(counts) - 0.5 * counts
    label = np.floor(middle * most / total)
    breaks = np.r_[True, (np.diff(label) != 0) | own[1:] | own[:-1]]
    starts = np.flatnonzero(breaks)
    length = np.r_[values[starts[1:] - 1], values[-1]] - values[starts]
    spacing = np.diff(values)
    wide = spacing > np.maximum(1, GAP * length[np.cumsum(breaks) - 1][1:])
    starts = _finer(np.flatnonzero(breaks | np.r_[False, wide]), values, counts)
    ends = np.r_[starts[1:], len(values)] - 1
    return values[starts].astype(float), values[ends].astype(float), np.add.reduceat(counts, starts).astype(float)


def _finer(starts: np.ndarray, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Halve groups again and again where their two halves are surely not equally dense; their first values' places."""
    below = np.concatenate([[0], np.cumsum(counts)])
    for _ in range(MOST_HALVINGS):
        ends = np.r_[starts[1:], len(values)]
        rows = below[ends] - below[starts]
        middle = np.searchsorted(below, below[starts] + rows / 2).clip(starts, ends - 1)
        share = (values[middle] - values[starts]) / (values[ends - 1] + 1 - values[starts])
        off = np.abs(below[middle] - below[starts] - rows * share)
        split = (middle > starts) & (rows >= LEAST_ROWS) & (off > SURE * np.sqrt(rows * share * (1 - share)))
        if not split.any():
            break
        starts = np.sort(np.r_[starts, middle[split]])
    return starts


def fit_scales(events: Sequence[Continuous], columns: Sequence[np.ndarray], most: int) -> tuple[Scale, ...]:
    """A scale for each number: normal scores, or the lattice's own where `most` is 0."""
    if most == 0:
        return tuple(Straight(event.lattice) for event in events)
    return tuple(Warp.fit(event, column, most) for event, column in zip(events, columns, strict=True))
