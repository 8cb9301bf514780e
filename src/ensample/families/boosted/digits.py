"""Binary digits of a bin index: any number of bins as a walk down a balanced tree of two-way decisions.

Level d splits the B bins into 2^d runs; the run of prefix m is [floor(m B / 2^d), floor((m + 1) B / 2^d)), and its
digit says whether the bin lies in the upper half. No code is impossible, whatever B, so the probability of a bin is
the product of those of its digits and all bins together sum to one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Level:
    """One digit of some rows: prefix so far and the bins `low <= below middle <= up < high` that it chooses between.

    `open` marks rows whose digit decides something; in a run of a single bin nothing is left to decide.
    """

    number: int
    prefix: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray

    @property
    def open(self) -> np.ndarray:
        """Rows with a choice, bool."""
        out: np.ndarray = (self.low < self.middle) & (self.middle < self.high)
        return out

    @property
    def node(self) -> np.ndarray:
        """Number of the decision in the whole tree, the root being 1."""
        return (1 << self.number) + self.prefix

    def digit(self, index: np.ndarray) -> np.ndarray:
        """The digit of these bins, which must lie in the level's runs: whether each is in the upper half. bool."""
        out: np.ndarray = index >= self.middle
        return out

    def follow(self, digit: np.ndarray) -> np.ndarray:
        """Prefixes of the next level. A run of one bin goes on as whichever half holds it."""
        return 2 * self.prefix + np.where(self.open, digit, self.middle == self.low)


@dataclass(frozen=True)
class Digits:
    """The code of `bins` bins.

    Example:
        >>> code = Digits(5)
        >>> code.depth
        3
        >>> [level.digit(np.arange(5)).astype(int).tolist() for level in code.path(np.arange(5))]
        [[0, 0, 1, 1, 1], [0, 1, 0, 1, 1], [1, 1, 0, 0, 1]]
    """

    bins: int

    @property
    def depth(self) -> int:
        """Digits of the longest code; 0 for one bin."""
        return (self.bins - 1).bit_length()

    def level(self, number: int, prefix: np.ndarray) -> Level:
        """The runs of these prefixes."""
        low, high = (prefix * self.bins) >> number, ((prefix + 1) * self.bins) >> number
        return Level(number, prefix, low, ((2 * prefix + 1) * self.bins) >> (number + 1), high)

    def path(self, index: np.ndarray) -> Iterator[Level]:
        """The levels that lead to these bins [rows] int64, first digit first."""
        prefix = np.zeros(len(index), dtype=np.int64)
        for number in range(self.depth):
            level = self.level(number, prefix)
            yield level
            prefix = level.follow(level.digit(index))

    def index(self, prefix: np.ndarray) -> np.ndarray:
        """The bins of complete codes (prefixes after the last level)."""
        out: np.ndarray = (prefix * self.bins) >> self.depth
        return out
