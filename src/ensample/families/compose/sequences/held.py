"""Stretches of sequences that the parts of a blend do not learn from, to tell how far to trust them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ensample.events import Batch
from ensample.kinds.sequences import Sequences

LONGEST = 1_000
"""A longer record is held out in stretches of at most so many steps, so that they come from many places."""

PARTS = 20
"""A stretch is at most one in so many parts of all steps."""

LEAD = 256
"""Steps before a stretch that are shown with it."""

SHARE, LEAST = 0.03, 1_000
"""Share of the steps that is held out; of little text up to a tenth, until there are so many."""


class Without:
    """A table of cells without some stretches of its rows, indexed like it; nothing is copied.

    Arguments:
        table: cells [rows, spans], an array or `Packed`.
        begin, end: of the stretches, ascending and apart, int64 [stretches].

    Example:
        >>> left = Without(np.arange(8)[:, None], np.array([1, 5]), np.array([3, 6]))
        >>> left[:, 0].tolist(), left[2:4, 0].tolist(), left[np.array([4, 0])].tolist()
        ([0, 3, 4, 6, 7], [4, 6], [[7], [0]])
    """

    def __init__(self, table: np.ndarray, begin: np.ndarray, end: np.ndarray) -> None:
        self._table = table
        self._gone = np.concatenate([[0], (end - begin).cumsum()])
        self._begin = begin - self._gone[:-1]  # among the rows that are left
        self.shape = (len(table) - int(self._gone[-1]), table.shape[1])
        self.dtype, self.ndim = table.dtype, 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        elif rows.dtype == bool:
            rows = np.flatnonzero(rows)
        found: np.ndarray = self._table[rows + self._gone[np.searchsorted(self._begin, rows, side="right")], columns]
        return found


@dataclass(frozen=True)
class Stretches:
    """Parts of records: number of the record, first step, and the step behind the last, int64 [stretches] each."""

    record: np.ndarray
    begin: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        return len(self.record)

    def take(self, chosen: np.ndarray) -> Stretches:
        """These."""
        return Stretches(self.record[chosen], self.begin[chosen], self.end[chosen])


def stretches_of(lengths: np.ndarray) -> Stretches:
    """All records, the long ones in stretches of about the same length; those that are missing are left out.

    Example:
        >>> found = stretches_of(np.array([1, -1, 40]))
        >>> found.record[:3].tolist(), found.end[-1], len(found)
        ([0, 2, 2], np.int64(40), 21)
    """
    there = np.flatnonzero(lengths >= 0)
    own = lengths[there]
    size = min(LONGEST, max(1, int(own.sum()) // PARTS))
    count = np.maximum(1, -(-own // size))
    record = np.repeat(np.arange(len(there)), count)
    number = np.arange(len(record)) - np.repeat(count.cumsum() - count, count)
    begin, end = (k * own[record] // count[record] for k in (number, number + 1))
    return Stretches(there[record], begin, end)


@dataclass(frozen=True)
class Held:
    """Stretches that are held out of `records`."""

    records: Sequences
    stretches: Stretches

    @property
    def steps(self) -> int:
        """How many steps that is."""
        return int((self.stretches.end - self.stretches.begin).sum())

    def batches(self, size: int = 256) -> Iterator[tuple[Batch, Tensor, Tensor]]:
        """The stretches behind what leads to them: a batch, which places count [rows, steps + 1], and their halves.

        The end of a record counts with its last stretch.
        """
        lengths, starts = self.records.lengths, self.records.starts
        for first in range(0, len(self.stretches), size):
            part = self.stretches.take(np.arange(first, min(first + size, len(self.stretches))))
            lead = np.minimum(part.begin, LEAD)
            own = part.end - part.begin + lead
            place = np.repeat(starts[part.record] + part.begin - lead, own)
            place += np.arange(own.sum()) - np.repeat(own.cumsum() - own, own)
            rows = Sequences(
                self.records.event, self.records.table[place], self.records.given, lengths=own,
                **self.records.given_of(part.record),
            )  # fmt: skip
            batch = rows.batch()
            step = np.arange(batch.cells.shape[1] + 1)
            last = own + (part.end == lengths[part.record])
            counts = (step >= lead[:, None]) & (step < last[:, None])
            if self.records.scored is not None:
                shown = (starts[part.record] + part.record + part.begin - lead)[:, None] + step
                counts &= self.records.scored[np.where(counts, shown, 0)]
            half = (np.arange(first, first + len(part)) % 2 == 0)[:, None] & counts
            yield batch, torch.from_numpy(counts), torch.from_numpy(half)


def apart(records: Sequences, most: int, seed: int) -> tuple[Sequences, Held]:
    """(what is left, what is held out): random stretches, at most about `most` steps; nothing of a single stretch.

    Where a stretch is taken out of a record, what comes before and behind it is joined.
    """
    every = stretches_of(records.lengths)
    size = every.end - every.begin + 1
    total = int(size.sum())
    wanted = min(most, max(SHARE * total, min(0.1 * total, LEAST)))
    order = np.random.default_rng([seed, 1]).permutation(len(every))
    count = min(int(np.searchsorted(size[order].cumsum(), wanted)) + 1, len(every) - 1)
    held = every.take(np.sort(order[:count]))
    return _left(records, every, held), Held(records, held)


def _left(records: Sequences, every: Stretches, held: Stretches) -> Sequences:
    lengths, starts = records.lengths.copy(), records.starts
    np.subtract.at(lengths, held.record, held.end - held.begin)
    pieces = np.bincount(held.record, minlength=len(lengths))
    whole = pieces == np.bincount(every.record, minlength=len(lengths))
    stay = np.flatnonzero(~(whole & (records.lengths >= 0)))
    begin, end = starts[held.record] + held.begin, starts[held.record] + held.end
    scored = records.scored
    if scored is not None:
        gone = np.zeros(len(scored) + 1, np.int64)
        np.add.at(gone, begin + held.record, 1)
        np.add.at(gone, end + held.record + (held.end == records.lengths[held.record]) * whole[held.record], -1)
        scored = scored[gone.cumsum()[:-1] == 0]
    table = cast("np.ndarray", Without(records.table, begin, end))
    return replace(records, table=table, lengths=lengths[stay], scored=scored, **records.given_of(stay))
