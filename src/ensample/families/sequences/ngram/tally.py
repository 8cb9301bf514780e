"""How often each window of symbols was met: packed in whole numbers, sorted, merged block by block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ensample.families.sequences.ngram.windows import Windows

MOST = 2**23
"""Different windows that are kept before the order is lowered, where it may be."""


@dataclass(frozen=True)
class Tally:
    """Different windows of `order` symbols, sorted by what stands before (the nearest symbol first), and their counts.

    Arguments:
        words: each window as whole numbers, the most significant first: of each word [windows] int64.
        counts: how often each was met, int64 [windows].
        order: symbols of a window.
        classes: how many there are; see `Windows` for the two symbols beyond them.
    """

    words: tuple[np.ndarray, ...]
    counts: np.ndarray
    order: int
    classes: int

    @classmethod
    def of(cls, windows: Windows, order: int, classes: int) -> Tally:
        """Count windows; those whose own symbol is not known are left out."""
        windows = windows.take(windows.symbols <= classes)
        columns = [*windows.before.T[: order - 1], windows.symbols]
        return cls(*_grouped(_packed(columns, classes), None), order, classes)

    def __len__(self) -> int:
        return len(self.counts)

    def merged(self, other: Tally) -> Tally:
        """The counts of both."""
        words = tuple(np.concatenate(pair) for pair in zip(self.words, other.words, strict=True))
        counts = np.concatenate([self.counts, other.counts])
        return Tally(*_grouped(words, counts), self.order, self.classes)

    def shorter(self, order: int) -> Tally:
        """The counts of windows of fewer symbols: the farthest are forgotten."""
        if order >= self.order:
            return self
        columns = [*(self.column(k) for k in range(order - 1)), self.column(self.order - 1)]
        return Tally(*_grouped(_packed(columns, self.classes), self.counts), order, self.classes)

    def column(self, number: int) -> np.ndarray:
        """Symbols at one place before, 0 the nearest; the windows' own symbol at `order` - 1; int64 [windows]."""
        bits, held = _layout(self.classes)
        word, place = divmod(number, held)
        inside = min(held, self.order - word * held)
        return np.asarray(self.words[word] >> (bits * (inside - 1 - place)) & ((1 << bits) - 1))


def tallied(blocks: Iterable[Windows], order: int, classes: int, most: int | None = MOST) -> Tally:
    """Count the windows of all blocks; where there are more than `most` different ones, the order is lowered."""
    parts: list[Tally] = []
    for block in blocks:
        parts.append(Tally.of(block, order, classes))
        while len(parts) > 1 and len(parts[-2]) < 2 * len(parts[-1]):  # each window is merged a few times only
            last = parts.pop()
            parts[-1] = parts[-1].merged(last)
        while most is not None and sum(len(part) for part in parts) > most and order > 1:
            order -= 1
            parts = [part.shorter(order) for part in parts]
    while len(parts) > 1:
        last = parts.pop()
        parts[-1] = parts[-1].merged(last)
    return parts[0]


def nearby(windows: Windows, classes: int) -> np.ndarray:
    """An order of windows in which those with the same symbols before them stand together: searches then stay near."""
    columns = [*windows.before.T, windows.symbols]
    return np.argsort(_packed(columns[: _layout(classes)[1]], classes)[0])


def _layout(classes: int) -> tuple[int, int]:
    """(bits of a symbol, symbols of a word)."""
    bits = (classes + 1).bit_length()
    return bits, 63 // bits


def _packed(columns: list[np.ndarray], classes: int) -> tuple[np.ndarray, ...]:
    bits, held = _layout(classes)
    words = []
    for first in range(0, len(columns), held):
        word = np.zeros(len(columns[0]), np.int64)
        for column in columns[first : first + held]:
            word = (word << bits) | column
        words.append(word)
    return tuple(words)


def _grouped(words: tuple[np.ndarray, ...], counts: np.ndarray | None) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Different windows, sorted, and their counts (of one each if None)."""
    if counts is None and len(words) == 1:
        found, times = np.unique(words[0], return_counts=True)
        return (found,), times
    order = np.argsort(words[0], kind="stable") if len(words) == 1 else np.lexsort(words[::-1])
    words = tuple(word[order] for word in words)
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.any([word[1:] != word[:-1] for word in words], axis=0)
    first = np.flatnonzero(new)
    times = np.ones(len(order), np.int64) if counts is None else counts[order]
    summed = np.add.reduceat(times, first) if len(first) else times
    return tuple(word[first] for word in words), summed
