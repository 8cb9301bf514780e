"""Every symbol of all records behind the symbols before it: the stream of records, read in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ensample.events import Batch
from ensample.kinds.records import ABSENT
from ensample.kinds.sequences import Sequences

BLOCK = 2**20
"""Symbols of the stream that are looked at together."""

STRETCHES, STRETCH = 100, 10_000
"""A record of more than one in so many parts of the stream, or of more than so many symbols, is held out in parts."""


@dataclass(frozen=True)
class Windows:
    """Symbols, and what stands before each in its record.

    With `V` classes, symbol V is the mark that begins and ends a record, and V + 1 stands for nothing: what lies before
    the beginning, or is not known.

    Arguments:
        before: the symbols before each, the nearest first, int64 [windows, order - 1].
        symbols: 0 to V, the end of a record among them, int64 [windows].
    """

    before: np.ndarray
    symbols: np.ndarray

    def __len__(self) -> int:
        return len(self.symbols)

    def take(self, rows: np.ndarray | slice) -> Windows:
        """These windows."""
        return Windows(self.before[rows], self.symbols[rows])


def windows_of(stream: np.ndarray, classes: int, order: int, first: int = 1) -> Windows:
    """The windows of the symbols of a stream from place `first` on.

    Example:
        >>> found = windows_of(np.array([9, 1, 2, 9]), 9, 3)
        >>> found.before.tolist(), found.symbols.tolist()
        ([[9, 10], [1, 9], [2, 1]], [1, 2, 9])
    """
    count, nothing = len(stream) - first, classes + 1
    before = np.full((count, order - 1), nothing)
    for k in range(order - 1):
        begin = max(0, k + 1 - first)
        before[begin:, k] = stream[first + begin - k - 1 : max(0, len(stream) - k - 1)]
        if k:
            before[before[:, k - 1] >= classes, k] = nothing
    return Windows(before, stream[first:])


def batch_windows(batch: Batch, classes: int, order: int) -> tuple[Windows, np.ndarray]:
    """The windows of all symbols of padded records, the end of each included, and the row of each window."""
    assert batch.lengths is not None
    lengths, there = batch.lengths.numpy(), batch.lengths.numpy() >= 0
    rows, steps = np.flatnonzero(there), np.arange(batch.cells.shape[1])
    table = np.full((len(rows), batch.cells.shape[1] + 2), classes)
    inside = steps < lengths[rows, None]
    table[:, 1:-1][inside] = known_symbols(batch, classes)[rows][inside]
    used = np.arange(batch.cells.shape[1] + 2) <= lengths[rows, None]
    found = windows_of(np.append(table[:, :-1][used[:, :-1]], classes), classes, order)
    return found, np.repeat(rows, lengths[rows] + 1)


def known_symbols(batch: Batch, classes: int) -> np.ndarray:
    """The classes of a padded batch, int64 [rows, steps]; V + 1 where the class is not known."""
    cells, mask = (_flat(part) for part in (batch.cells, batch.mask))
    return np.where(mask, cells, classes + 1)


def _flat(part: Tensor) -> np.ndarray:
    return np.asarray(part.numpy())[..., 0]


class Stream:
    """All records one after the other, with one mark between two, before the first and behind the last.

    Records that are missing as a whole are left out. Nothing is copied: blocks are read where they are asked for.
    """

    def __init__(self, records: Sequences, classes: int) -> None:
        self.table, self.classes = records.table, classes
        lengths = records.lengths[records.lengths >= 0]
        self.marks = np.concatenate([[0], (lengths + 1).cumsum()])  # place of each mark

    def __len__(self) -> int:
        return int(self.marks[-1]) + 1

    def read(self, start: int, stop: int) -> np.ndarray:
        """Symbols of these places, int64."""
        first, last = np.searchsorted(self.marks, (start, stop))
        out = np.full(stop - start, self.classes)
        steps = np.ones(stop - start, dtype=bool)
        steps[self.marks[first:last] - start] = False
        cells = self.table[start - first : stop - last][:, 0]
        out[steps] = np.where(cells == ABSENT, self.classes + 1, cells)
        return out

    def windows(self, order: int, every: int = 1) -> Iterator[tuple[int, Windows]]:
        """(place, windows from there on) of all symbols but the first mark, in blocks; of each so many blocks one."""
        for start in range(1, len(self), BLOCK * every):
            before = max(0, start - order + 1)
            stream = self.read(before, min(start + BLOCK, len(self)))
            yield start, windows_of(stream, self.classes, order, start - before)

    def stretches(self) -> tuple[int, int]:
        """(how many, length of the longest): parts of the stream that may be held out, see `stretch_of`."""
        longest = max(1, min(len(self) // STRETCHES, STRETCH))
        return int((-(-np.diff(self.marks) // longest)).sum()), longest

    def stretch_of(self, places: np.ndarray) -> np.ndarray:
        """The number of the stretch of each place: a whole record, or a part of a long one."""
        _, longest = self.stretches()
        first = np.concatenate([[0], (-(-np.diff(self.marks) // longest)).cumsum()])
        record = np.searchsorted(self.marks, places) - 1
        return np.asarray(first[record] + (places - self.marks[record] - 1) // longest)
