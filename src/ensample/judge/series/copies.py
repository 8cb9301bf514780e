"""Copy check of series: made stretches that are nearer to a training stretch than such are to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from ensample.judge.copies import CopyCheck, Pair, equal_share, nearer_share, wilson
from ensample.judge.measure import DRAWS, Measure
from ensample.judge.neighbours import nearest
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side
from ensample.judge.series.stretches import Stretches, record_numbers, stretches

CLOSE = "near copies"
NEAR = 1 / 3
"""A made stretch is a near copy below this share of the distance between its training stretch and the next one."""
MORE = 0.02
"""How much more near copies among made than among held-out series are no copying yet."""
CLOSEST = 4


@dataclass(frozen=True)
class SeriesCopies(CopyCheck):
    """The copy check with what only series have.

    Arguments:
        close: share of made stretches that are near copies, with what an honest model would show as its target.
        by_luck: chance of so many exact copies by luck.
        judged: made stretches that were looked at.
        learned: training stretches.
        rows: made series that were looked at.
    """

    close: Measure
    by_luck: float
    judged: Stretches
    learned: Stretches
    rows: np.ndarray

    @property
    def copied(self) -> bool:
        """Whether near or exact copies are clearly more frequent than an honest model would make them.

        To lie rather near training than held-out series is not enough: time has gone on between the two, and whoever
        learned from the former knows nothing of the latter.
        """
        return self.repeats or self.close.low > 2 * self.close.target + MORE

    @property
    def repeats(self) -> bool:
        """Whether whole training series are made again more often than held-out ones, beyond luck."""
        return self.exact.value - self.exact.target > 0.001 and self.by_luck < 0.001

    def sentence(self, ceiling: CopyCheck | None, noun: str) -> str:
        """Whether the series are copies, in words; beside them what training series themselves show."""
        plain = ""
        if isinstance(ceiling, SeriesCopies):
            plain = f" (plain copies: {ceiling.close.value:.1%})"
        return f"{'It copies training series' if self.copied else 'It did not copy'}: {self.close.words}{plain}."


def series_copies(reference: SeriesReference, made: Side) -> SeriesCopies:
    """Distances of made stretches to training and to held-out ones, near and exact copies.

    Windows that overlap are nearly the same, so what lies near one lies near all of them. Therefore a distance is held
    against that from the nearest training stretch to the next one which does *not* overlap it, and all training
    stretches of one piece of time are one witness. Where held-out windows overlap training ones, they are near copies
    as well, and nothing can be told: split by time.
    """
    learned, held = reference.once(_learned), reference.once(_held_out)
    rows = np.random.default_rng(reference.seed + 1).permutation(len(made))[: reference.sizes.read]
    judged = stretches(reference, made.take(rows), every=False)
    rng, size = np.random.default_rng(reference.seed), min(len(learned), len(held))
    pools = [side.take(rng.permutation(len(side))[:size]) for side in (learned, held)]
    near = [nearest(judged.points, pool.points) for pool in pools]
    pieces = [pool.pieces[at] for pool, (_, at) in zip(pools, near, strict=True)]
    share, luck = nearer_share(near[0][0], pieces[0], near[1][0], pieces[1], size, reference.seed, "record")
    to_train, at = nearest(judged.points, learned.points)
    ratio = _ratios(to_train, at, learned)
    met = float((_ratios(*near[1], pools[1]) < NEAR).mean()) * len(learned) / size
    close = _close(ratio, min(max(reference.once(usual), met), 1.0), len(learned))
    worst = np.argsort(ratio, kind="stable")[:CLOSEST]
    pairs = tuple(Pair(int(rows[k]), int(at[k]), float(to_train[k]), float(near[1][0][k])) for k in worst)
    exact, by_luck = _exact(reference, made)
    return SeriesCopies(share, exact, luck, near[0][0], near[1][0], pairs, close, by_luck, judged, learned, rows)


def _learned(reference: SeriesReference) -> Stretches:
    return stretches(reference, reference.train, every=True)


def _held_out(reference: SeriesReference) -> Stretches:
    return stretches(reference, reference.test, every=True)


def _ratios(distances: np.ndarray, at: np.ndarray, base: Stretches) -> np.ndarray:
    """Distances to stretches of `base` as shares of those from these to the next that does not overlap them."""
    known, place = np.unique(at, return_inverse=True)
    apart = base.apart(known)[place]
    # of stretches that occur twice nothing can be told but that another is equal too
    return np.where(apart > 0, distances / np.maximum(apart, 1e-300), np.where(distances > 0, np.inf, 0.0))


def usual(reference: SeriesReference) -> float:
    """Share of held-out series that are near copies of training ones."""
    rows = reference.held_out_rows(reference.sizes.read)
    own = stretches(reference, reference.test.take(rows), every=False)
    learned = reference.once(_learned)
    return float((_ratios(*nearest(own.points, learned.points), learned) < NEAR).mean())


def _close(ratio: np.ndarray, target: float, learned: int) -> Measure:
    value = float((ratio < NEAR).mean())
    low, high = wilson(value, len(ratio))
    words = (
        f"{value:.1%} of made series lie three times nearer to a training series than the next one does, which does "
        f"not overlap it; of an honest model {target:.1%} would"
    )
    draws = value + (high - low) / 3.92 * np.random.default_rng(4).standard_normal(DRAWS)
    how = f"Wilson, {len(ratio):,} made series against {learned:,} stretches of training series"
    return Measure(CLOSE, value, low, high, "lower", target, words, how, draws=draws)


def _exact(reference: SeriesReference, made: Side) -> tuple[Measure, float]:
    """Share of made series that equal a training one, and the chance of so many by luck.

    A model that knows the distribution only meets each held-out series as often as each training series: of the equal
    ones the share that equal training series is binomial.
    """
    known, held = reference.once(_numbers)
    own = record_numbers(made)
    hits, others = int(np.isin(own, known).sum()), int(np.isin(own, held).sum())
    ratio = len(np.unique(known)) / len(np.unique(held))
    luck = float(binom.sf(hits - 1, hits + others, ratio / (1.0 + ratio))) if hits else 1.0
    return equal_share(known, held, own, reference.seed, "record", "step"), luck


def _numbers(reference: SeriesReference) -> tuple[np.ndarray, np.ndarray]:
    return record_numbers(reference.train), record_numbers(reference.test)
