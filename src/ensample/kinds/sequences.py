"""Records that are sequences, encoded once: the steps of all records one after the other, and where each begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ensample.events import Batch, Ragged
from ensample.kinds.records import ABSENT, Records

PADDED_CELLS = 2**22
"""A batch holds at most this many cells, padding included, or one record."""


@dataclass(frozen=True)
class Sequences(Records):
    """Encoded sequences: `table` [all steps, spans] as of `Records`, and the length of every record.

    `lengths` [rows] int64 may be `MISSING_LENGTH` or `UNKNOWN_LENGTH`: such records have no steps. `table` may be
    `Packed`. `scored` [steps + rows] bool says, where the event is `partly` given, which places count: of each record
    its steps and its end, one record after the other (see `Batch.scored`).

    Example:
        >>> from ensample.events import Discrete, Mixed, Span
        >>> event = Ragged(Mixed((Span("word", Discrete(9)),)), 3)
        >>> talk = Sequences(event, np.array([[4], [5], [6], [7]]), lengths=np.array([1, 0, 3]))
        >>> talk.batch(slice(1, 3)).cells.tolist()
        [[[0], [0], [0]], [[5], [6], [7]]]
    """

    event: Ragged  # type: ignore[assignment]  # only families that learn sequences are given these
    lengths: np.ndarray = field(kw_only=True)
    scored: np.ndarray | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> np.ndarray:
        """First row of each record in the table, and behind the last one the number of steps; int64 [rows + 1]."""
        return np.concatenate([[0], self.lengths.clip(min=0).cumsum()])

    def batch(self, rows: slice | np.ndarray = slice(None)) -> Batch:
        """These records, padded to the longest of them (a copy)."""
        lengths, starts = self.lengths[rows], self.starts[:-1][rows]
        longest = int(lengths.max(initial=0))
        there = np.arange(longest) < lengths[:, None]
        cells = np.full((len(lengths), longest, len(self.event.element)), ABSENT)
        cells[there] = self.table[self._steps_of(lengths, starts)]
        whole = torch.from_numpy(cells)
        mask = whole != int(ABSENT)
        told = torch.from_numpy(np.array(lengths)), self._scored(rows, longest)
        return Batch(torch.where(mask, whole, 0), mask, self.given_batch(rows), lengths=told[0], scored=told[1])

    def batches(self, size: int = 65_536) -> Iterator[Batch]:
        """All records, in order; at most `size` at a time, and no more than `PADDED_CELLS` cells hold."""
        yield from (self.batch(rows) for rows in self._pieces(np.arange(len(self)), size))

    def parts(self, size: int) -> list[slice | np.ndarray]:
        """Rows of the batches for learning: records of similar length together, so that little is padding."""
        return list(self._pieces(np.argsort(-self.lengths, kind="stable"), size))

    def select(self, rows: np.ndarray | slice) -> Sequences:
        """The records of these rows, held in memory."""
        lengths, starts = self.lengths[rows], self.starts[:-1][rows]
        table, scored = self.table[self._steps_of(lengths, starts)], self.scored
        if scored is not None:
            scored = scored[self._steps_of(lengths.clip(min=0) + 1, self._places[rows])]
        return replace(self, table=table, lengths=lengths, scored=scored, **self.given_of(rows))

    @property
    def _places(self) -> np.ndarray:
        """First place of each record in `scored`."""
        return self.starts[:-1] + np.arange(len(self))

    def _scored(self, rows: slice | np.ndarray, longest: int) -> torch.Tensor | None:
        if self.scored is None:
            return None
        first, step = self._places[rows][:, None], np.arange(longest + 1)
        there = step <= self.lengths[rows][:, None]
        return torch.from_numpy(there & self.scored[np.where(there, first + step, 0)])

    def _steps_of(self, lengths: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Rows of the table that hold the steps of these records, one after the other."""
        counts = lengths.clip(min=0)
        first = np.repeat(starts - (counts.cumsum() - counts), counts)
        return first + np.arange(int(counts.sum()))

    def _pieces(self, order: np.ndarray, size: int) -> Iterator[np.ndarray]:
        first, spans = 0, max(1, len(self.event.element))
        sizes = self.lengths if self.sources is None else np.maximum(self.lengths, self.sources.lengths)
        while first < len(order):
            longest = np.maximum.accumulate(sizes[order[first : first + size]].clip(min=1))
            cells = longest * np.arange(1, len(longest) + 1) * spans
            count = max(1, int(np.searchsorted(cells, PADDED_CELLS, side="right")))
            yield order[first : first + count]
            first += count
