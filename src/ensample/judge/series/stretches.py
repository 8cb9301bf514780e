"""Stretches of series as points and as runs of steps: what lies near what, and what overlaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ensample.judge.neighbours import squared
from ensample.judge.series.inputs import points
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side
from ensample.judge.texts.tokens import mixed

WHOLE, PART = 64, 32
"""Series of up to so many steps are compared whole, of longer ones stretches of `PART` steps at every place."""
RUN = 8
"""Steps in a row, at most, by which overlapping stretches are known."""
ODD = np.uint64(0x9E3779B97F4A7C15)
CHUNK = 500


@dataclass(frozen=True)
class Stretches:
    """Stretches of series.

    Arguments:
        points: coordinates, float64 [stretches, dimensions].
        records: which series each is of, [stretches].
        begins: at which of its steps it begins, [stretches].
        runs: numbers of the runs of steps in it, equal for equal ones, uint64 [stretches, runs].
    """

    points: np.ndarray
    records: np.ndarray
    begins: np.ndarray
    runs: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: np.ndarray) -> Stretches:
        """Those of these rows."""
        return Stretches(self.points[rows], self.records[rows], self.begins[rows], self.runs[rows])

    @property
    def pieces(self) -> np.ndarray:
        """The piece of time that each is of, int64 [stretches] from 0.

        The least number of its runs (MinHash, Broder 1997): overlapping stretches have it in common the more often, the
        more they overlap.
        """
        return np.unique(self.runs.min(1), return_inverse=True)[1]

    def apart(self, rows: np.ndarray) -> np.ndarray:
        """Distance of the stretches of these rows to the nearest that does not overlap them, inf if there is none."""
        out = np.full(len(rows), np.inf)
        many = min(2 * self.runs.shape[1] + 2 * RUN, len(self) - 1)
        for start in range(0, len(rows), CHUNK):
            own = rows[start : start + CHUNK]
            gaps = squared(self.points[own], self.points)
            near = np.argpartition(gaps, many, 1)[:, : many + 1]
            overlap = (self.runs[near] == self.runs[own][:, None, :1]).any(2)
            overlap |= (self.runs[own][:, None, :] == self.runs[near][:, :, :1]).any(2)
            free = np.where(overlap, np.inf, np.take_along_axis(gaps, near, 1))
            out[start : start + CHUNK] = np.sqrt(free.min(1))
        return out


def length(reference: SeriesReference) -> int:
    """Steps of the stretches that are compared."""
    longest = max(reference.train.steps, reference.test.steps)
    return longest if longest <= WHOLE else PART


def stretches(reference: SeriesReference, side: Side, every: bool) -> Stretches:
    """Stretches of all series: at one place of each, or at every place (of very many, some at random).

    Series that are shorter than a stretch count as they are, their missing steps told.
    """
    steps, rng = reference.once(length), np.random.default_rng(reference.seed + 5)
    room = (side.lengths - steps).clip(min=0)
    records, begins = np.arange(len(side)), np.floor(rng.random(len(side)) * (room + 1)).astype(np.int64)
    if every:
        records = np.repeat(records, room + 1)
        begins = np.arange(len(records)) - np.repeat((room + 1).cumsum() - room - 1, room + 1)
        if len(records) > (most := reference.sizes.windows):
            chosen = np.sort(rng.choice(len(records), most, replace=False))
            records, begins = records[chosen], begins[chosen]
    cut = side.cut(side.starts[:-1][records] + begins, side.lengths[records].clip(max=steps))
    flat = points(reference, cut, steps).reshape(len(cut), -1).astype(np.float64)
    return Stretches(flat / np.sqrt(steps), records, begins, runs(cut, steps))


def runs(side: Side, steps: int) -> np.ndarray:
    """Numbers of the runs of steps of each series, uint64 [records, runs]; equal for equal runs."""
    numbers = np.zeros((len(side), steps), np.uint64)
    numbers[np.arange(steps) < side.lengths[:, None]] = step_numbers(side)
    size = max(1, min(RUN, steps // 2))
    out = np.zeros((len(side), steps - size + 1), np.uint64)
    for place, salt in enumerate(np.arange(size, dtype=np.uint64) * ODD):
        out += mixed(numbers[:, place : steps - size + 1 + place] + salt)
    return out


def step_numbers(side: Side) -> np.ndarray:
    """A number for each step, equal where all of its values are, uint64 [steps]."""
    bits = (side.frame.matrix + 0.0).view(np.uint64)
    out = np.full(len(bits), ODD)
    for j in range(bits.shape[1]):
        out = mixed(out ^ mixed(bits[:, j] + np.uint64(j)))
    return out


def record_numbers(side: Side) -> np.ndarray:
    """A number for each series, equal where all of its steps are, uint64 [records]."""
    place = np.arange(len(side.owners)) - side.starts[:-1][side.owners]
    each = mixed(step_numbers(side) + place.astype(np.uint64) * ODD)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(each)])
    return np.asarray(sums[side.starts[1:]] - sums[side.starts[:-1]]) + side.lengths.astype(np.uint64)
