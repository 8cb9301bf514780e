"""Distributions of single steps: of values, of changes from step to step, of what is missing."""

from __future__ import annotations

import numpy as np

from ensample.judge.binned import Binning, Stats, groups, jackknife
from ensample.judge.measure import Measure, spread
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side
from ensample.judge.shapes import FINE, column_scores

VALUES, CHANGES, MISSING = "value shapes", "change shapes", "missing pattern"


def values(reference: SeriesReference, made: Side, real: Side) -> Measure:
    """Mean over variables of 1 - Kolmogorov-Smirnov distance (numbers) or 1 - total variation (classes) of values.

    On at most 100 quantile bins of the training steps; missing is a value.
    """
    binning = reference.once(_value_bins)
    return _alike(VALUES, "values", binning, made, real, reference.seed)


def changes(reference: SeriesReference, made: Side, real: Side) -> Measure | None:
    """The same of changes: differences of a number from one step to the next, pairs of classes in a row.

    So it tells whether series jump as much as real ones, and whether classes follow each other as real ones do. None
    where no series has two steps.
    """
    binning = reference.once(_change_bins)
    fake, wanted = made.changes, real.changes
    return _alike(CHANGES, "changes", binning, fake, wanted, reference.seed) if len(wanted.frame) else None


def _value_bins(reference: SeriesReference) -> Binning:
    return Binning.fit(reference.train.frame, FINE)


def _change_bins(reference: SeriesReference) -> Binning:
    return Binning.fit(reference.train.changes.frame, FINE)


def _alike(name: str, what: str, binning: Binning, made: Side, real: Side, seed: int) -> Measure:
    stats = [(_counts(binning, side, seed + k),) for k, side in enumerate((real, made))]
    numbers = [column.is_number for column in real.frame.columns]

    def score(left: Stats, right: Stats) -> np.ndarray:
        return column_scores(np.maximum(left[0], 1e-9), np.maximum(right[0], 1e-9), binning, numbers)

    found = score((stats[0][0].sum(0),), (stats[1][0].sum(0),))
    draws = jackknife(stats[0], stats[1], score, seed).mean(1)
    value = float(found.mean())
    low, high = spread(value, draws, (0.0, 1.0))
    parts = dict(zip(real.frame.names, found.tolist(), strict=True))
    worst = min(parts, key=parts.__getitem__)
    words = f"{what} keep {value:.1%} of their shapes; least good is {worst} ({parts[worst]:.1%})"
    how = f"jackknife over groups of {len(made):,} made and {len(real):,} held-out series"
    return Measure(name, value, low, high, "higher", 1.0, words, how, parts=parts, draws=draws)


def _counts(binning: Binning, side: Side, seed: int) -> np.ndarray:
    """Values in each bin, by groups of records, [groups, bins]."""
    group = groups(len(side), seed)
    width, count = sum(binning.sizes), int(group.max()) + 1
    flat = group[side.owners][:, None] * width + binning.starts + binning.index(side.frame)
    return np.bincount(flat.ravel(), minlength=count * width).reshape(count, width).astype(np.float64)


def missing(made: Side, real: Side, seed: int) -> Measure | None:
    """How differently values are missing; None where none is.

    Total variation of what is missing together in a step (which variables), and in two steps in a row (of each
    variable), the mean of both; 0 is equal.
    """
    sides = [np.isnan(side.frame.matrix) for side in (real, made)]
    if not any(side.any() for side in sides):
        return None
    together = np.unique(np.concatenate(sides), axis=0, return_inverse=True)[1].ravel()
    cut = np.split(together, [len(sides[0])])
    most = int(together.max(initial=0)) + 1
    stats = [
        _patterns(side, gone, codes, most, seed + k)
        for k, (side, gone, codes) in enumerate(zip((real, made), sides, cut, strict=True))
    ]

    def score(left: Stats, right: Stats) -> np.ndarray:
        steps, rows = (_variation(a, b) for a, b in zip(left, right, strict=True))
        return np.array([(steps.mean() + rows.mean()) / 2])

    value = float(score(*(tuple(part.sum(0) for part in side) for side in stats))[0])
    draws = jackknife(stats[0], stats[1], score, seed)[:, 0]
    low, high = spread(value, draws, (0.0, 1.0))
    shares = {name: float(gone.mean()) for name, gone in zip(made.frame.names, sides[1].T, strict=True) if len(gone)}
    usual, own = (float(side.mean()) if side.size else 0.0 for side in sides)
    words = (
        f"{own:.1%} of made values are missing, {usual:.1%} of real ones; patterns differ by {value:.1%} (0 is equal)"
    )
    how = f"jackknife over groups of {len(made):,} made and {len(real):,} held-out series"
    return Measure(MISSING, value, low, high, "lower", 0.0, words, how, parts=shares, draws=draws)


def _patterns(side: Side, gone: np.ndarray, codes: np.ndarray, most: int, seed: int) -> Stats:
    """Counts of patterns of steps [groups, 1, patterns], and of two steps in a row [groups, variables, 4]."""
    group = groups(len(side), seed)
    count, variables = int(group.max()) + 1, gone.shape[1]
    own = group[side.owners]
    of_steps = np.bincount(own * most + codes, minlength=count * most).reshape(count, 1, most)
    after = np.flatnonzero(side.follows)
    state = 2 * gone[after - 1] + gone[after]
    flat = (own[after][:, None] * variables + np.arange(variables)) * 4 + state
    in_row = np.bincount(flat.ravel(), minlength=count * variables * 4).reshape(count, variables, 4)
    return of_steps.astype(np.float64), in_row.astype(np.float64)


def _variation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Total variation of counts [..., bins] along the last axis."""
    p, q = (side / np.maximum(side.sum(-1, keepdims=True), 1e-300) for side in (one, other))
    return np.asarray(np.abs(p - q).sum(-1) / 2)
