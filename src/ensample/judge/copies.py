"""Copy check: whether the model learned the rows by heart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ensample.judge.frame import row_ids
from ensample.judge.measure import DRAWS, Measure
from ensample.judge.neighbours import nearest, space
from ensample.judge.reference import Made, Reference

CLOSEST = 5


@dataclass(frozen=True)
class Pair:
    """A made row and its nearest training row: positions in their tables, distance, and distance to held-out rows."""

    made: int
    train: int
    distance: float
    to_test: float


@dataclass(frozen=True)
class CopyCheck:
    """Both measures, and what lies behind them.

    `to_train` and `to_test` [rows] are distances of made rows to the nearest of equally many training and held-out
    rows; `chance` is the chance of a share at least so far above a half by luck alone.
    """

    share: Measure
    exact: Measure
    chance: float
    to_train: np.ndarray
    to_test: np.ndarray
    closest: tuple[Pair, ...]

    @property
    def copied(self) -> bool:
        """Whether made rows lean on training rows, clearly beyond luck and by more than a trace."""
        more = self.exact.value > self.exact.target and self.exact.low > self.exact.target
        return (self.share.value > 0.52 and self.chance < 0.001) or (
            more and self.exact.value - self.exact.target > 0.001
        )

    def sentence(self, ceiling: CopyCheck | None, noun: str) -> str:
        """Whether the records are copies, in words; beside them what plain copies would show."""
        beside = "" if ceiling is None else f"; plain copies would show {ceiling.share.value:.1%}"
        share = f"{self.share.value:.1%} of made {noun}s lie nearer to a training {noun} than to a held-out one{beside}"
        if self.copied:
            return f"It leans on the training {noun}s: {share}, and chance gives 50%."
        if self.share.low > 0.5:
            return f"It leans on the training {noun}s by a trace: {share}, where chance gives 50%."
        return f"It did not copy: {share}, and chance gives 50%."


def copies(reference: Reference, made: Made) -> CopyCheck:
    """Distances to the closest record, and exact copies against what held-out rows show.

    Share of made rows nearer to a draw of training rows than to as many held-out rows, ties counted half: 0.5 if the
    model knows the distribution only. Its noise comes from which rows happened to be in which draw, so the interval and
    the test count each drawn row as one witness however many made rows lie nearest to it.
    """
    size = min(reference.sizes.copies, len(reference.test), len(reference.train))
    rng = np.random.default_rng(reference.seed)
    order = rng.permutation(len(reference.train))[:size]
    places = np.random.default_rng(reference.seed + 1).permutation(len(made.frame))[: reference.sizes.copies]
    room = reference.once(space)
    train = room.points(reference.train.take(order))
    test = room.points(reference.test.sample(size, reference.seed))
    points = room.points(made.frame.take(places))
    to_train, near_train = nearest(points, train)
    to_test, near_test = nearest(points, test)
    share, chance = nearer_share(to_train, near_train, to_test, near_test, size, reference.seed)
    closest = np.lexsort((-to_test, to_train / np.maximum(to_test, 1e-9)))[:CLOSEST]
    pairs = tuple(
        Pair(int(places[k]), int(order[near_train[k]]), float(to_train[k]), float(to_test[k])) for k in closest
    )
    return CopyCheck(share, exact_copies(reference, made), chance, to_train, to_test, pairs)


def nearer_share(
    to_train: np.ndarray,
    near_train: np.ndarray,
    to_test: np.ndarray,
    near_test: np.ndarray,
    size: int,
    seed: int,
    noun: str = "row",
    name: str = "copy share",
) -> tuple[Measure, float]:
    """Share of made records nearer to a training record, and the chance of a share so far above a half by luck.

    Arguments:
        to_train: distance of each made record to the nearest of `size` training records, [rows].
        near_train: which training record that is, [rows].
        to_test: distance to the nearest of `size` held-out records, [rows].
        near_test: which held-out record that is, [rows].
        size: records on each side.
        seed: of the replicates.
        noun: what a record is called.
        name: of the measure.
    """
    # Equal up to rounding is a tie: the same values reach both distances by different sums.
    tie = np.abs(to_train - to_test) <= 1e-9
    nearer = to_train < to_test
    value = float(np.where(tie, 0.5, nearer).mean())
    # Under "does not matter which draw a row is in" each witness is a fair coin that moves all its made rows.
    train_votes = np.bincount(near_train[nearer & ~tie], minlength=size)
    test_votes = np.bincount(near_test[~nearer & ~tie], minlength=size)
    votes = float((train_votes**2).sum() + (test_votes**2).sum())
    error = math.sqrt(max(votes, 1.0)) / 2 / len(nearer)
    chance = 0.5 * math.erfc((value - 0.5) / error / math.sqrt(2))
    draws = value + error * np.random.default_rng(seed + 3).standard_normal(DRAWS)
    low, high = max(value - 1.96 * error, 0.0), min(value + 1.96 * error, 1.0)
    words = f"{value:.1%} of made {noun}s lie nearer to a training {noun} than to a held-out {noun} (50% is best)"
    how = f"normal, {len(nearer):,} made {noun}s against {size:,} training and {size:,} held-out {noun}s"
    return Measure(name, value, low, high, "nearer", 0.5, words, how, draws=draws), chance


def exact_copies(reference: Reference, made: Made) -> Measure:
    """Share of made rows equal to a training row in every judged column; held-out rows' own share is the target."""
    names = reference.coding.names
    train, test, fake = row_ids((reference.train_table, reference.test_table, made.table), names)
    return equal_share(train, test, fake, reference.seed, "row", "column")


def equal_share(train: np.ndarray, test: np.ndarray, fake: np.ndarray, seed: int, noun: str, part: str) -> Measure:
    """Share of made records whose number is that of a training record; equal numbers, equal records.

    Arguments:
        train: a number for each training record.
        test: a number for each held-out record.
        fake: a number for each made record.
        seed: of the replicates.
        noun: what a record is called.
        part: what it is made of.
    """
    value = float(np.isin(fake, train).mean())
    expected = float(np.isin(test, train).mean())
    low, high = wilson(value, len(fake))
    words = (
        f"{value:.2%} of made {noun}s equal one of {len(train):,} training {noun}s in every {part}; "
        f"{expected:.2%} of held-out {noun}s do"
    )
    draws = value + (high - low) / 3.92 * np.random.default_rng(seed + 4).standard_normal(DRAWS)
    how = f"Wilson, {len(fake):,} made {noun}s"
    return Measure("exact copies", value, low, high, "lower", expected, words, how, draws=draws)


def wilson(share: float, rows: int) -> tuple[float, float]:
    """95% interval of a share seen in so many rows (Wilson, 1927).

    Example:
        >>> low, high = wilson(0.0, 100)
        >>> low, round(high, 3)
        (0.0, 0.037)
    """
    z = 1.96
    middle = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    wide = z / (1 + z**2 / rows) * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    return max(middle - wide, 0.0), min(middle + wide, 1.0)
