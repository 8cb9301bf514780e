"""Counts in bins of the real data, and the jackknife over groups of rows that gives their intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ensample.judge.frame import Frame
from ensample.judge.measure import DRAWS

GROUPS = 25


@dataclass(frozen=True)
class Binning:
    """Bins of each column by quantiles of real rows: their own values where these are few, missing last.

    A made value outside the real range falls into the outermost bin and moves no edge: bins over each table's own range
    would let one extreme value decide the score.
    """

    edges: tuple[np.ndarray | None, ...]
    sizes: tuple[int, ...]
    most: int

    @classmethod
    def fit(cls, real: Frame, most: int) -> Binning:
        """At most `most` bins a column, besides the one for missing values."""
        edges: list[np.ndarray | None] = []
        sizes = []
        for column in real.columns:
            if column.levels is not None:
                edges.append(None)
                sizes.append(min(len(column.levels), most) + 1)
                continue
            known = np.unique(column.values[~np.isnan(column.values)])
            if len(known) > most:
                present = column.values[~np.isnan(column.values)]
                # "higher": an edge is a value of the data, so that a spike opens a bin of its own
                known = np.unique(np.quantile(present, np.linspace(0, 1, most + 1)[:-1], method="higher"))
            edges.append(known[1:])
            sizes.append(max(len(known), 1) + 1)
        return cls(tuple(edges), tuple(sizes), most)

    def index(self, frame: Frame) -> np.ndarray:
        """Bin of every value, int64 [rows, columns]; the last bin of a column is "missing"."""
        out = np.empty((len(frame), len(frame.columns)), dtype=np.int64)
        for j, (column, edges, size) in enumerate(zip(frame.columns, self.edges, self.sizes, strict=True)):
            missing = np.isnan(column.values)
            if edges is None:
                code = np.minimum(np.where(missing, 0, column.values), size - 2).astype(np.int64)
            else:
                code = np.searchsorted(edges, column.values, side="right")
            out[:, j] = np.where(missing, size - 1, np.minimum(code, size - 2))
        return out

    @property
    def starts(self) -> np.ndarray:
        """Where each column's bins begin when all bins stand in a row."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)


def groups(rows: int, seed: int) -> np.ndarray:
    """Random group of each row, nearly equal in size; a pure function of its arguments."""
    return np.random.default_rng(seed).permutation(rows) % min(GROUPS, rows)


Stats = tuple[np.ndarray, ...]
"""Additive statistics, each [groups, ...]."""


def jackknife(real: Stats, made: Stats, score: Callable[[Stats, Stats], np.ndarray], seed: int) -> np.ndarray:
    """Replicates [DRAWS, parts] around `score` (an array [parts] of summed statistics of both sides).

    Each side's groups are left out in turn; normal weights on the deviations give draws with the jackknife's variance
    (G-1)/G sum (theta_g - mean)^2, without the upward bias that resampling gives to a distance. The weights of the
    real groups depend on the seed alone, so that two models' draws are paired.
    """
    total_real, total_made = tuple(s.sum(0) for s in real), tuple(s.sum(0) for s in made)
    value = score(total_real, total_made)
    draws = np.repeat(value[None, :], DRAWS, axis=0)
    for side, stats in enumerate((real, made)):
        count = len(stats[0])
        left_out = []
        for g in range(count):
            without = tuple(t - s[g] for t, s in zip((total_real, total_made)[side], stats, strict=True))
            left_out.append(score(without, total_made) if side == 0 else score(total_real, without))
        deviation = np.array(left_out) - np.mean(left_out, axis=0)
        weight = np.random.default_rng(seed + side).standard_normal((DRAWS, count))
        draws += np.sqrt((count - 1) / count) * weight @ deviation
    return draws
