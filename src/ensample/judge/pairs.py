"""Pair trends: whether columns go together as they do in reality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ensample.judge.binned import Binning, Stats, groups, jackknife
from ensample.judge.frame import Frame
from ensample.judge.measure import Measure, spread
from ensample.judge.reference import Made, Reference

COARSE = 8
KNOTS = 1_000


def pairs(reference: Reference, made: Made) -> Measure:
    """Mean over pairs of columns of 1 - |difference of rank correlations| / 2 (two numbers) or 1 - total variation.

    In the manner of SDMetrics' pair trends, but on ranks and on at most 8 quantile bins of the training rows, never on
    bins over a table's own range: there, whether a sample happens to hold one extreme value decides the score.
    """
    view = pair_view(reference, made)
    names = reference.test.names
    upper = np.triu_indices(len(names), 1)
    how = f"jackknife over groups of rows, {view.rows[0]:,} real and {view.rows[1]:,} made"
    if not len(upper[0]):
        return Measure("pair trends", 1.0, 1.0, 1.0, "higher", 1.0, "there is a single column", how)
    value = float(view.similarity[upper].mean())
    low, high = spread(value, view.draws, (0.0, 1.0))
    parts = {f"{names[i]} × {names[j]}": float(view.similarity[i, j]) for i, j in zip(*upper, strict=True)}
    worst = min(parts, key=parts.__getitem__)
    words = f"pairs of columns keep {value:.1%} of their trends; the least good is {worst} ({parts[worst]:.1%})"
    return Measure("pair trends", value, low, high, "higher", 1.0, words, how, parts=parts, draws=view.draws)


@dataclass(frozen=True)
class PairView:
    """Association of each pair, real and made, and the similarity of the two, all [columns, columns].

    Association is Spearman's rank correlation (-1 to 1) for two numbers, else Cramer's V (0 to 1) without its bias.
    """

    real: np.ndarray
    made: np.ndarray
    similarity: np.ndarray
    draws: np.ndarray
    rows: tuple[int, int]


def pair_view(reference: Reference, made: Made) -> PairView:
    """Everything about pairs that the measure and the report need."""
    count = reference.sizes.pairs
    fake = made.frame.sample(count, reference.seed + 1)
    side = reference.once(_real_side)
    other = _Side.of(reference, fake, 1)
    layout = reference.once(_layout)

    def score(left: Stats, right: Stats) -> np.ndarray:
        matrix = layout.similarity(left, right)
        return np.array([matrix[layout.upper].mean() if len(layout.upper[0]) else 1.0])

    real, fakes = (tuple(s.sum(0) for s in x.stats) for x in (side, other))
    draws = jackknife(side.stats, other.stats, score, reference.seed)[:, 0]
    rows = (side.rows, other.rows)
    return PairView(layout.association(real), layout.association(fakes), layout.similarity(real, fakes), draws, rows)


def coarse_bins(reference: Reference) -> Binning:
    """Bins for pairs."""
    return Binning.fit(reference.train, COARSE)


@dataclass(frozen=True)
class _Side:
    stats: Stats
    rows: int

    @classmethod
    def of(cls, reference: Reference, frame: Frame, side: int) -> _Side:
        """Cross-tables of all bins and moments of ranks, per group of rows."""
        binning, ranks = reference.once(coarse_bins), reference.once(_ranks)
        flat = binning.index(frame) + binning.starts
        group = groups(len(frame), reference.seed + side)
        scores = np.column_stack([ranks[j](frame.matrix[:, j]) for j in frame.numbers] or [np.zeros((len(frame), 0))])
        known = (~np.isnan(scores)).astype(np.float32)
        scores = np.nan_to_num(scores).astype(np.float32)
        parts = []
        for g in range(int(group.max()) + 1):
            rows = np.flatnonzero(group == g)
            hot = np.zeros((len(rows), sum(binning.sizes)), dtype=np.float32)
            hot[np.arange(len(rows))[:, None], flat[rows]] = 1
            z, m = scores[rows], known[rows]
            parts.append((hot.T @ hot, z.T @ z, z.T @ m, (z * z).T @ m, m.T @ m))
        return cls(tuple(np.stack(p).astype(np.float64) for p in zip(*parts, strict=True)), len(frame))


def _real_side(reference: Reference) -> _Side:
    return _Side.of(reference, reference.test.sample(reference.sizes.pairs, reference.seed), 0)


class _Rank:
    """Mid-rank of a value among the training rows, -1 to 1, by interpolation; NaN stays NaN."""

    def __init__(self, values: np.ndarray) -> None:
        known, counts = np.unique(values[~np.isnan(values)], return_counts=True)
        middle = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1) * 2 - 1
        keep = np.unique(np.linspace(0, max(len(known) - 1, 0), KNOTS).astype(int)) if len(known) else slice(0)
        self.known, self.middle = known[keep], middle[keep]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if not len(self.known):
            return np.full(len(values), np.nan)
        return np.where(np.isnan(values), np.nan, np.interp(values, self.known, self.middle))


def _ranks(reference: Reference) -> dict[int, _Rank]:
    return {j: _Rank(reference.train.matrix[:, j]) for j in reference.train.numbers}


@dataclass(frozen=True)
class _Layout:
    starts: np.ndarray
    sizes: np.ndarray
    numbers: np.ndarray

    @property
    def upper(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of all pairs."""
        first, second = np.triu_indices(len(self.sizes), 1)
        return first, second

    def blocks(self, table: np.ndarray) -> np.ndarray:
        """Sum of a table over all bins [bins, bins] within each pair of columns [columns, columns]."""
        return np.asarray(np.add.reduceat(np.add.reduceat(table, self.starts, axis=0), self.starts, axis=1))

    def similarity(self, real: Stats, made: Stats) -> np.ndarray:
        """1 - total variation of the joint table, or 1 - |difference of rank correlations| / 2 for two numbers."""
        shares = [side[0] / max(side[0][: self.sizes[0], : self.sizes[0]].sum(), 1) for side in (real, made)]
        out = 1 - self.blocks(np.abs(shares[0] - shares[1])) / 2
        if len(self.numbers):
            gap = np.abs(rank_correlation(real) - rank_correlation(made))
            out[np.ix_(self.numbers, self.numbers)] = 1 - gap / 2
        return np.asarray(out)

    def association(self, stats: Stats) -> np.ndarray:
        """Rank correlation for two numbers, else bias-corrected Cramer's V (Bergsma, 2013)."""
        joint = stats[0]
        rows = joint[: self.sizes[0], : self.sizes[0]].sum()
        count = np.diag(joint)
        wanted = np.outer(count, count) / max(rows, 1)
        chi = self.blocks(np.where(wanted > 0, (joint - wanted) ** 2 / np.where(wanted > 0, wanted, 1), 0)) / max(
            rows, 1
        )
        levels = np.add.reduceat((count > 0).astype(float), self.starts)
        free = np.outer(levels - 1, levels - 1)
        phi = np.maximum(chi - free / max(rows - 1, 1), 0)
        shrunk = levels - (levels - 1) ** 2 / max(rows - 1, 1)
        least = np.minimum.outer(shrunk, shrunk) - 1
        out = np.sqrt(np.where(least > 0, phi / np.where(least > 0, least, 1), 0)).clip(0, 1)
        if len(self.numbers):
            out[np.ix_(self.numbers, self.numbers)] = rank_correlation(stats)
        np.fill_diagonal(out, 1.0)
        return np.asarray(out)


def _layout(reference: Reference) -> _Layout:
    binning = reference.once(coarse_bins)
    return _Layout(binning.starts, np.array(binning.sizes), np.array(reference.test.numbers, dtype=int))


def rank_correlation(stats: Stats) -> np.ndarray:
    """Correlation of mid-ranks over the rows where both are known, [numbers, numbers], from summed moments."""
    _, cross, first, square, rows = stats
    rows = np.maximum(rows, 1)
    mean_a, mean_b = first / rows, first.T / rows
    covariance = cross / rows - mean_a * mean_b
    variance = np.maximum(square / rows - mean_a**2, 0) * np.maximum(square.T / rows - mean_b**2, 0)
    return np.asarray(np.where(variance > 1e-12, covariance / np.sqrt(np.maximum(variance, 1e-12)), 0).clip(-1, 1))
