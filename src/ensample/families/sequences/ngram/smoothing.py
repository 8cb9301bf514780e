"""Modified Kneser-Ney smoothing: from adjusted counts to probabilities, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ensample.families.sequences.ngram.levels import Level

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where the counts of counts tell none: few n-grams, or all of them met often."""


@dataclass(frozen=True)
class Counts:
    """What is kept of a level, in the order of `Level.contexts` and `Level.grams`.

    Arguments:
        contexts: farthest symbol of each context, int64 [contexts].
        parents: number of the context without it [contexts].
        totals: sum of the adjusted counts of all n-grams of the context, also of those not kept [contexts].
        symbols: last symbol of each n-gram [n-grams].
        owners: number of the context of each n-gram [n-grams].
        counts: adjusted count of each [n-grams].
        discounts: what is taken off a count of 1, of 2, of 3 and more, float64 [3].
    """

    contexts: np.ndarray
    parents: np.ndarray
    totals: np.ndarray
    symbols: np.ndarray
    owners: np.ndarray
    counts: np.ndarray
    discounts: np.ndarray


def discounts_of(counts: np.ndarray) -> np.ndarray:
    """`D_k = k - (k + 1) Y t_(k+1) / t_k`, Y = t_1 / (t_1 + 2 t_2), where t_k n-grams have count k; float64 [3].

    Chen and Goodman (1999), equations 18 to 20; `FALLBACK` where one of them is no discount.

    Example:
        >>> discounts_of(np.repeat([1, 2, 3, 4], [40, 15, 8, 5])).round(2).tolist()
        [0.57, 1.09, 1.57]
        >>> discounts_of(np.array([7, 8])).tolist()
        [0.5, 1.0, 1.5]
    """
    t = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(np.float64)
    if not t.all():
        return np.array(FALLBACK)
    k = np.arange(1, 4)
    found = k - (k + 1) * t[0] / (t[0] + 2 * t[1]) * t[1:] / t[:3]
    return found if bool(((found > 0) & (found < k)).all()) else np.array(FALLBACK)


def kept(level: Level, adjusted: np.ndarray, least: int, renumbered: np.ndarray) -> tuple[Counts, np.ndarray]:
    """What is kept of a level: n-grams met at least so often (of single symbols all), and their contexts.

    Arguments:
        level: the level.
        adjusted: its counts, `level.adjusted`, or `level.met` for the highest order.
        least: how often an n-gram must have been met.
        renumbered: new number of each context of the level before, -1 for those not kept.

    Returns:
        The counts, and the new number of each context of this level.
    """
    base, owners = level.base, level.grams // level.base
    totals = np.bincount(owners, adjusted, len(level.contexts)).astype(np.int64)
    frequent = (level.met >= least) | (level.k == 0)
    used = np.zeros(len(level.contexts), dtype=bool)
    used[owners[frequent]] = True
    numbers = np.where(used, np.cumsum(used) - 1, -1)
    contexts = level.contexts[used]
    counts = Counts(
        contexts % base,
        renumbered[contexts // base],
        totals[used],
        (level.grams % base)[frequent],
        numbers[owners[frequent]],
        adjusted[frequent],
        discounts_of(adjusted),
    )
    return counts, numbers


class Smoothed:
    """p(w | context) = alpha(context, w) + gamma(context) p(w | shorter context), over one level.

    `alpha = (count - D(count)) / total`, and gamma is what the alphas of a context leave to 1.

    Arguments:
        counts: of the level.
        base: one more than the number of classes.

    Attributes:
        contexts, grams: keys to search, see `Level`.
        alpha: float64 [n-grams].
        gamma: float64 [contexts].
        first: number of the first n-gram of each context, and behind the last one how many there are.
    """

    def __init__(self, counts: Counts, base: int) -> None:
        self.counts, self.base = counts, base
        self.contexts = counts.parents * base + counts.contexts
        self.grams = counts.owners * base + counts.symbols
        size = len(self.contexts)
        taken = counts.counts - counts.discounts[np.minimum(counts.counts, 3) - 1]
        self.alpha = taken / counts.totals[counts.owners]
        self.gamma = (counts.totals - np.bincount(counts.owners, taken, size)) / counts.totals
        self.first = np.searchsorted(counts.owners, np.arange(size + 1))

    def deeper(self, numbers: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Numbers of the contexts that these contexts of the level before become with a symbol more, -1 for none."""
        there = (numbers >= 0) & (symbols < self.base)
        return np.where(there, _found(self.contexts, numbers * self.base + symbols), -1)

    def mixed(self, numbers: np.ndarray, symbols: np.ndarray, shorter: np.ndarray) -> np.ndarray:
        """P(symbol | context), given the probabilities under the shorter contexts; those where there is no context."""
        out, rows = shorter.copy(), np.flatnonzero(numbers >= 0)
        place = _found(self.grams, numbers[rows] * self.base + symbols[rows])
        out[rows] = self.gamma[numbers[rows]] * shorter[rows] + np.where(place >= 0, self.alpha[place], 0.0)
        return out

    @cached_property
    def clues(self) -> np.ndarray:
        """What tells how far to trust each context [contexts, 3]: log of its total, gamma, and its largest alpha."""
        top = np.maximum.reduceat(self.alpha, self.first[:-1]) if len(self.gamma) else self.gamma
        return np.stack([np.log(self.counts.totals), self.gamma, top], 1)

    @cached_property
    def summed(self) -> np.ndarray:
        """Sum of all alphas before each n-gram, and behind the last one of all."""
        return np.concatenate([[0.0], np.cumsum(self.alpha)])


def _found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Place of each wanted number in the sorted keys, -1 where it is not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)
