"""Column shapes: whether each column on its own looks like the real one."""

from __future__ import annotations

import numpy as np

from ensample.judge.binned import Binning, Stats, groups, jackknife
from ensample.judge.measure import Measure, spread
from ensample.judge.reference import Made, Reference

FINE = 100


def shapes(reference: Reference, made: Made) -> Measure:
    """Mean over columns of 1 - Kolmogorov-Smirnov distance (numbers) or 1 - total variation (categories).

    In the manner of SDMetrics' column shapes, on at most 100 quantile bins of the training rows; missing is a value.
    """
    binning = reference.once(fine_bins)
    real = _counts(reference, binning.index(reference.test), 0)
    fake = _counts(reference, binning.index(made.frame), 1)
    numbers = [c.is_number for c in reference.test.columns]

    def score(left: Stats, right: Stats) -> np.ndarray:
        return column_scores(left[0], right[0], binning, numbers)

    values = score((real[0].sum(0),), (fake[0].sum(0),))
    draws = jackknife(real, fake, score, reference.seed).mean(1)
    value = float(values.mean())
    low, high = spread(value, draws, (0.0, 1.0))
    parts = dict(zip(reference.test.names, values.tolist(), strict=True))
    worst = min(parts, key=parts.__getitem__)
    words = f"columns keep {value:.1%} of their shapes; the least good is {worst} ({parts[worst]:.1%})"
    how = f"jackknife over groups of rows, {len(reference.test):,} real and {len(made.frame):,} made"
    return Measure("column shapes", value, low, high, "higher", 1.0, words, how, parts=parts, draws=draws)


def fine_bins(reference: Reference) -> Binning:
    """Bins for shapes."""
    return Binning.fit(reference.train, FINE)


def _counts(reference: Reference, index: np.ndarray, side: int) -> Stats:
    binning = reference.once(fine_bins)
    group = groups(len(index), reference.seed + side)
    width = sum(binning.sizes)
    flat = (group[:, None] * width + binning.starts + index).ravel()
    count = int(group.max()) + 1
    return (np.bincount(flat, minlength=count * width).reshape(count, width).astype(np.float64),)


def column_scores(real: np.ndarray, made: np.ndarray, binning: Binning, numbers: list[bool]) -> np.ndarray:
    """Similarity of each column from counts in all bins, [columns]; 1 is equal, 0 has nothing in common."""
    out = np.empty(len(numbers))
    for j, (start, size) in enumerate(zip(binning.starts, binning.sizes, strict=True)):
        a, b = (side[start : start + size] / side[start : start + size].sum() for side in (real, made))
        gap = a - b
        # Missing is the last bin: where the cumulated shares end before it they differ by the share of missing values.
        out[j] = 1 - (np.abs(np.cumsum(gap)).max() if numbers[j] else np.abs(gap).sum() / 2)
    return out
