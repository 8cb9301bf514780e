"""How series move: autocorrelation, and cross-correlation between variables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ensample.judge.binned import Stats, groups, jackknife
from ensample.judge.measure import Measure, spread
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side

AUTO, CROSS = "autocorrelation distance", "cross-correlation distance"
LAGS = 16
"""Lags that are looked at, at most, up to half the length of most series."""
TOP = 6
"""Classes whose coming and going is held against other variables."""
COLUMNS = 40
"""Variables and classes that are held against each other, at most."""


def lags(reference: SeriesReference) -> np.ndarray:
    """Lags up to half the length of most training series, all or thinned out, int64 [lags]."""
    reach = max(1, int(min(np.quantile(reference.train.lengths, 0.5), reference.sizes.steps)) // 2)
    return np.unique(np.round(np.geomspace(1, reach, LAGS)).astype(np.int64)) if reach > LAGS else 1 + np.arange(reach)


def autocorrelation(reference: SeriesReference, made: Side, real: Side) -> Measure | None:
    """Mean absolute difference of autocorrelations over variables and lags. None where no series has two steps.

    Of numbers the correlation of all pairs of steps that far apart, over all series together; of classes Cohen's
    kappa of both (how much more often they are the same than two steps by chance).
    """
    if not real.follows.any():
        return None
    looked = reference.once(lags)
    both = [_autos(reference, side, looked, reference.seed + k) for k, side in enumerate((real, made))]

    def score(left: Stats, right: Stats) -> np.ndarray:
        return np.asarray(np.nanmean(np.abs(acf(left) - acf(right)), 1))

    wanted, found = (acf(tuple(part.sum(0) for part in side)) for side in both)
    order = [*reference.numbers, *reference.categories]
    worst = int(np.nanargmax(np.nanmean(np.abs(found - wanted), 1))) if len(order) else 0
    name = reference.names[order[worst]]
    beside = (
        f" in the mean; most of {name}: {found[worst, 0]:.2f} from a step to the next, of real series "
        f"{wanted[worst, 0]:.2f}"
    )
    words = ("autocorrelations are off by", beside)
    names = [reference.names[j] for j in order]
    return distance(AUTO, both, score, names, words, reference.seed, (made, real))


def acf(stats: Stats) -> np.ndarray:
    """Autocorrelations [variables, lags] from summed statistics: of numbers, then of classes."""
    sums, same, shares = stats
    numbers = _correlation(np.moveaxis(sums, -1, 0))
    n, hits = np.moveaxis(same, -1, 0)
    luck = np.square(shares / np.maximum(shares.sum(-1, keepdims=True), 1.0)).sum(-1)[..., None]
    classes = (hits / np.maximum(n, 1.0) - luck) / np.maximum(1.0 - luck, 1e-9)
    return np.concatenate([numbers, classes], -2)


def autos_of(reference: SeriesReference, side: Side) -> np.ndarray:
    """Autocorrelations [variables, lags] of one side, numbers first, at the `lags` of the reference."""
    stats = _autos(reference, side, reference.once(lags), reference.seed)
    return acf(tuple(part.sum(0) for part in stats))


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Correlation from counts, sums, squares and products of pairs [6, ...], 0 where one side does not move."""
    n, x, y, xx, yy, xy = sums
    n = np.maximum(n, 1.0)
    one, other = xx / n - np.square(x / n), yy / n - np.square(y / n)
    size = np.sqrt(np.maximum(one, 0.0) * np.maximum(other, 0.0))
    return np.asarray(np.where(size > 1e-12, (xy / n - x / n * y / n) / np.maximum(size, 1e-12), 0.0))


def _autos(reference: SeriesReference, side: Side, looked: np.ndarray, seed: int) -> Stats:
    """Sums over pairs by groups: numbers [groups, v, lags, 6], classes [groups, c, lags, 2], shares [groups, c, k]."""
    group = groups(len(side), seed)[side.owners]
    count = int(group.max(initial=0)) + 1
    numbers = standardised(reference, side)
    codes = side.frame.matrix[:, list(reference.categories)]
    sums = np.zeros((count, numbers.shape[1], len(looked), 6))
    same = np.zeros((count, codes.shape[1], len(looked), 2))
    for k, lag in enumerate(looked):
        later = np.flatnonzero(side.owners[lag:] == side.owners[:-lag]) + lag if lag < len(group) else np.zeros(0, int)
        own = group[later]
        for j in range(numbers.shape[1]):
            x, y = numbers[later - lag, j], numbers[later, j]
            there = ~np.isnan(x + y)
            x, y = np.where(there, x, 0.0), np.where(there, y, 0.0)
            for place, part in enumerate((there, x, y, x * x, y * y, x * y)):
                sums[:, j, k, place] = np.bincount(own, part, count)
        for j in range(codes.shape[1]):
            x, y = codes[later - lag, j], codes[later, j]
            for place, part in enumerate((~np.isnan(x + y), x == y)):
                same[:, j, k, place] = np.bincount(own, part, count)
    width = int(np.nanmax(codes, initial=0)) + 1 if codes.size else 1
    shares = np.zeros((count, codes.shape[1], 256))
    for j in range(codes.shape[1]):
        there = ~np.isnan(codes[:, j])
        flat = group[there] * width + codes[there, j].astype(np.int64)
        shares[:, j, :width] = np.bincount(flat, minlength=count * width).reshape(count, width)
    return sums, same, shares


def standardised(reference: SeriesReference, side: Side) -> np.ndarray:
    """Numbers of all steps in standard deviations of training ones, cut at ten of them, [steps, numbers]."""
    mean, deviation = reference.scale
    return np.asarray(((side.frame.matrix[:, list(reference.numbers)] - mean) / deviation).clip(-10, 10))


def crossed(reference: SeriesReference, made: Side, real: Side) -> Measure | None:
    """Mean absolute difference of correlations between variables; None where there is one only.

    Of values in the same step, of values with the others' a step later, and of changes in the same step; a class
    counts as a variable that is 1 while it lasts (the most frequent ones).
    """
    names = _names(reference)
    if len(names) < 2 or not real.follows.any():
        return None
    both = [_crosses(reference, side, reference.seed + k) for k, side in enumerate((real, made))]

    def score(left: Stats, right: Stats) -> np.ndarray:
        gap = np.abs(cross(left) - cross(right))
        return np.asarray(gap.sum((0, 2)) / (3 * (gap.shape[1] - 1)))

    words = ("correlations between variables are off by", " in the mean")
    return distance(CROSS, both, score, names, words, reference.seed, (made, real))


def cross(stats: Stats) -> np.ndarray:
    """Correlations [blocks, variables, variables] from summed statistics; 0 of variables with themselves."""
    found = _correlation(np.moveaxis(stats[0], 1, 0))
    return np.asarray(np.where(np.eye(found.shape[1], dtype=bool), 0.0, found))


def crosses_of(reference: SeriesReference, side: Side) -> tuple[list[str], np.ndarray]:
    """Names of variables and classes, and their correlations [blocks, columns, columns] in one side."""
    stats = _crosses(reference, side, reference.seed)
    return _names(reference), cross(tuple(part.sum(0) for part in stats))


def _names(reference: SeriesReference) -> list[str]:
    names = [reference.names[j] for j in reference.numbers]
    for j in reference.categories:
        levels = reference.train.frame.columns[j].levels
        assert levels is not None
        names += [f"{reference.names[j]} {level}" for level in levels[:-1][:TOP]]
    return names[:COLUMNS]


def _columns(reference: SeriesReference, side: Side) -> np.ndarray:
    """Numbers, and classes one by one, [steps, columns]; NaN where missing."""
    blocks = [standardised(reference, side)]
    for j in reference.categories:
        column = side.frame.columns[j]
        assert column.levels is not None
        code = column.values[:, None]
        block = (code == np.arange(min(len(column.levels) - 1, TOP))).astype(np.float64)
        blocks.append(np.where(np.isnan(code), np.nan, block))
    return np.hstack(blocks)[:, :COLUMNS]


def _crosses(reference: SeriesReference, side: Side, seed: int) -> Stats:
    """Sums of pairs by groups, [groups, blocks, 6, columns, columns]."""
    values, group = _columns(reference, side), groups(len(side), seed)[side.owners]
    after = np.flatnonzero(side.follows)
    blocks = [(values, values, group), (values[after - 1], values[after], group[after])]
    moved = values[after] - values[after - 1]
    blocks.append((moved, moved, group[after]))
    count, width = int(group.max(initial=0)) + 1, values.shape[1]
    out = np.zeros((count, len(blocks), 6, width, width))
    for b, (one, other, own) in enumerate(blocks):
        known = [~np.isnan(side) for side in (one, other)]
        plain = [np.where(there, side, 0.0) for there, side in zip(known, (one, other), strict=True)]
        there = [side.astype(np.float64) for side in known]
        for g in range(count):
            m, k, x, y = (part[own == g] for part in (*there, *plain))
            sums = (m.T @ k, x.T @ k, m.T @ y, (x * x).T @ k, m.T @ (y * y), x.T @ y)
            out[g, b] = np.stack(sums)
    return (out,)


def distance(
    name: str,
    both: list[Stats],
    score: Callable[[Stats, Stats], np.ndarray],
    names: list[str],
    words: tuple[str, str],
    seed: int,
    sides: tuple[Side, Side],
    digits: int = 3,
) -> Measure:
    """The mean of the distances of variables that `score` finds, with them as parts.

    Arguments:
        name: of the measure.
        both: additive statistics by groups of records, of the real and of the made side.
        score: distance of each variable from summed statistics of both, [variables].
        names: of these variables.
        words: what stands before and behind the number.
        seed: of the replicates.
        sides: the made and the real series.
        digits: to show.
    """
    parts = score(*(tuple(part.sum(0) for part in side) for side in both))
    draws = jackknife(both[0], both[1], score, seed).mean(1)
    value = float(parts.mean())
    low, high = spread(value, draws, (0.0, np.inf))
    how = f"jackknife over groups of {len(sides[0]):,} made and {len(sides[1]):,} held-out series"
    by_name = dict(zip(names, parts.tolist(), strict=True))
    said = f"{words[0]} {value:.{digits}f}{words[1]}"
    return Measure(name, value, low, high, "lower", 0.0, said, how, parts=by_name, draws=draws, digits=digits)
