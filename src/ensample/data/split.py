"""Two disjoint parts of the rows, decided by a hash of (seed, row number): nothing to store, the same in a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ensample.errors import InputError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Part:
    """The rows whose rank is at most `threshold`, or, if `rest`, the others."""

    seed: int
    threshold: int
    rest: bool

    def contains(self, rows: np.ndarray) -> np.ndarray:
        """Which of these row numbers belong to the part. uint64 [rows] -> bool [rows]."""
        below = ranks(self.seed, rows) <= np.uint64(self.threshold)
        return ~below if self.rest else below


def ranks(seed: int, rows: np.ndarray) -> np.ndarray:
    """A random-looking 64-bit rank of each row number, no two alike: the SplitMix64 generator, read at position `row`.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). uint64 [rows] -> uint64 [rows].
    """
    with np.errstate(over="ignore"):
        z = (rows + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + _mixed_seed(seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))


def _mixed_seed(seed: int) -> np.uint64:
    # Added as it is, a seed that is a multiple of the increment would give a shifted copy of another's ranks.
    return np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


def part_size(test: float, rows: int) -> int:
    """How many rows the test part has: a share between 0 and 1, or a whole number of rows.

    Raises:
        InputError: the share or number leaves one of the parts empty.

    Example:
        >>> part_size(0.2, 48_842), part_size(100, 48_842)
        (9768, 100)
    """
    is_count = isinstance(test, int | np.integer) and not isinstance(test, bool) and test >= 1
    is_share = isinstance(test, float | np.floating) and 0 < test < 1
    if not is_count and not is_share:
        raise InputError(
            "The test part is a share between 0 and 1, or a whole number of records.",
            "test",
            repr(test),
            "say test=0.2 for a fifth of the records, or test=1000 for a thousand",
        )
    count = int(test) if is_count else min(max(round(rows * float(test)), 1), max(rows - 1, 1))
    if not 0 < count < rows:
        raise InputError(
            "Both parts of a split need at least one record.",
            "test",
            f"{count:,} of {rows:,} record{'s' if rows > 1 else ''} for the test part",
            "ask for fewer" if rows > 1 else "add records",
        )
    return count


def halves(test: float, seed: int, rows: int) -> tuple[Part, Part, int]:
    """(train, test, size of test) of `rows` rows."""
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise InputError("A seed is a whole number from 0 on.", "seed", repr(seed), "say seed=0")
    count = part_size(test, rows)
    threshold = _threshold(int(seed), rows, count)
    return Part(int(seed), threshold, rest=True), Part(int(seed), threshold, rest=False), count


def _threshold(seed: int, rows: int, count: int) -> int:
    """The `count`-th smallest rank, in bounded memory: a histogram finds the bin, one more pass the rank in it."""
    shift = np.uint64(48)
    histogram = np.zeros(1 << 16, dtype=np.int64)
    for chunk in _all_ranks(seed, rows):
        histogram += np.bincount((chunk >> shift).astype(np.int64), minlength=len(histogram))
    before = np.cumsum(histogram)
    bin_ = int(np.searchsorted(before, count))
    inside = [chunk[(chunk >> shift) == np.uint64(bin_)] for chunk in _all_ranks(seed, rows)]
    place = count - 1 - (int(before[bin_ - 1]) if bin_ else 0)
    return int(np.partition(np.concatenate(inside), place)[place])


def _all_ranks(seed: int, rows: int) -> Iterator[np.ndarray]:
    for start in range(0, rows, _CHUNK):
        yield ranks(seed, np.arange(start, min(start + _CHUNK, rows), dtype=np.uint64))
