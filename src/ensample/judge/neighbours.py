"""Distances between rows of mixed columns."""

from __future__ import annotations

import numpy as np

from ensample.judge.frame import Frame
from ensample.judge.reference import Reference

KEPT_LEVELS = 30
CHUNK = 1_000


class Space:
    """Rows as points: a number by its mid-rank among training rows, a category one-hot, a missing value one-hot too.

    Ranks keep heavy tails from ruling the distance. Every column is scaled to the same mean squared distance between
    two training rows (rare columns at most threefold), so that no column counts more than another.
    """

    def __init__(self, train: Frame) -> None:
        self.knots: list[tuple[np.ndarray, np.ndarray] | None] = []
        self.scales: list[float] = []
        self.middle: list[np.ndarray] = []
        for column in train.columns:
            knots = None
            if column.levels is None:
                known, counts = np.unique(column.values[~np.isnan(column.values)], return_counts=True)
                knots = (known, (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1))
            self.knots.append(knots)
            block = _block(column.values, knots, column.levels)
            self.scales.append(1 / np.sqrt(max(2 * block.var(0).sum(), 0.1)))
            self.middle.append(block.mean(0))

    def points(self, frame: Frame) -> np.ndarray:
        """Coordinates, float64 [rows, dimensions]."""
        blocks = [
            (_block(c.values, knots, c.levels) - middle) * scale
            for c, knots, scale, middle in zip(frame.columns, self.knots, self.scales, self.middle, strict=True)
        ]
        return np.hstack(blocks) if blocks else np.zeros((len(frame), 1))


def _block(
    values: np.ndarray, knots: tuple[np.ndarray, np.ndarray] | None, levels: tuple[str, ...] | None
) -> np.ndarray:
    missing = np.isnan(values)
    if levels is None:
        assert knots is not None
        rank = _rank(np.where(missing, 0, np.clip(values, -1e30, 1e30)), *knots)
        return np.column_stack([np.where(missing, 0.5, rank), missing])
    width = min(len(levels), KEPT_LEVELS) + 1
    code = np.where(missing, width - 1, np.minimum(np.where(missing, 0, values), width - 2)).astype(int)
    out = np.zeros((len(values), width))
    out[np.arange(len(values)), code] = 1
    return out


def _rank(values: np.ndarray, known: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Mid-rank, 0 to 1 within the range of the training rows and on in the same units outside it."""
    if not len(known):
        return np.zeros(len(values))
    wide = known[np.searchsorted(middle, 0.95).clip(0, len(known) - 1)] - known[np.searchsorted(middle, 0.05)]
    beyond = np.maximum(values - known[-1], 0) - np.maximum(known[0] - values, 0)
    outside = beyond / wide if wide > 0 else np.sign(beyond)
    return np.asarray(np.interp(values, known, middle) + np.clip(outside, -10, 10))


def space(reference: Reference) -> Space:
    """The space of a reference's training rows."""
    return Space(reference.train)


def nearest(queries: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the nearest row of `base`, exactly 0 for an equal one, and its position; both [queries]."""
    place = np.empty(len(queries), dtype=np.int64)
    half = (base**2).sum(1) / 2
    for start in range(0, len(queries), CHUNK):
        place[start : start + CHUNK] = (half - queries[start : start + CHUNK] @ base.T).argmin(1)
    # differences, not products: an equal row must come out at exactly 0
    return np.sqrt(((queries - base[place]) ** 2).sum(1)), place


def squared(queries: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Squared distances [queries, base] by products, accurate to rounding."""
    product = queries @ base.T
    return np.asarray(np.maximum((queries**2).sum(1)[:, None] + (base**2).sum(1)[None, :] - 2 * product, 0))
