"""Long and short sequences of classes as windows of one stream: what models of the next class learn from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import torch

from ensample.events import Batch, Discrete, Mixed, Ragged, Span
from ensample.kinds.records import ABSENT, Given, Records
from ensample.kinds.sequences import Sequences

PHASES = 4
"""Windows begin at every so-manieth part of their length, so that a class is met at several places in a window."""

STRETCHES = 16
"""Held-out windows lie in at most so many stretches: at the ends of each some overlapping windows are lost."""


@dataclass(frozen=True)
class Windows(Records):
    """Windows of a stream of classes, in which the mark stands before, between and behind the records.

    The stream is `mark, record 0, mark, record 1, mark, ...`, so one class, `mark`, both ends a record and begins the
    next. A window shows `context` + 1 places of it: all but the last are inputs, all but the first are targets, so
    each target has its own input before it. Windows begin every `context / 4` places (four phases, of which each one
    shows all targets but the first few), and many short records lie in one. Where fields are given, each record has
    its own: then no window leaves its record, and what lies behind the record's end is padding.

    The stream is never written down: classes are read from the table of the sequences, which may be `Packed`. Records
    that are missing as a whole are not in it. Where records are `partly` given, so are windows: their `scored` tells
    which targets count.

    Arguments:
        event: that of a window: the classes of the sequences and the mark, and `context` + 1 places.
        table: classes of all records one after the other [steps, 1], as in `Sequences`.
        borders: places of the marks in the stream, ascending; int64 [records + 1].
        first, stop: where each window begins, and the place behind its last one that is no padding; int64 [windows].
        scored: which places of the stream count as targets, bool [places]; None for all.
        single: whether a window leaves its record in no case, as it is where fields are given.

    Example:
        >>> event = Ragged(Mixed((Span("letter", Discrete(9)),)), 3)
        >>> words = Sequences(event, np.array([[4], [5], [6], [7]]), lengths=np.array([1, 3]))
        >>> windows = Windows.of(words, context=4)
        >>> windows.batch(slice(0, 2)).cells[:, :, 0].tolist()
        [[9, 4, 9, 5, 6], [4, 9, 5, 6, 7]]
        >>> windows.batch(slice(5, 6)).mask[0, :, 0].tolist()
        [True, True, False, False, False]
    """

    event: Ragged  # type: ignore[assignment]  # only families that learn sequences are given these
    borders: np.ndarray = field(kw_only=True)
    first: np.ndarray = field(kw_only=True)
    stop: np.ndarray = field(kw_only=True)
    scored: np.ndarray | None = field(default=None, kw_only=True)
    single: bool = field(default=False, kw_only=True)

    @classmethod
    def of(cls, records: Sequences, context: int, single: bool = False) -> Self:
        """All windows of these records, whose steps are one class each; `context` is at least 1.

        Each record has its own where they are to be `single`, and where fields are given.
        """
        span = records.event.element.spans[0]
        assert isinstance(span.event, Discrete) and len(records.event.element) == 1 and context >= 1
        there = np.flatnonzero(records.lengths >= 0)
        borders = np.concatenate([[0], (records.lengths[there] + 1).cumsum()])
        given = Given(given_table=records.given_table, sources=records.sources)
        if len(there) < len(records):
            given = records.given_of(there)
        if not len(there):
            begin = end = np.zeros(0, np.int64)
        elif not (single := single or records.conditional):
            begin, end = borders[:1], borders[-1:]
        else:
            begin, end = borders[:-1], borders[1:]
        first, stop = _starts(begin, end, context)
        scored = None if records.scored is None else _of_stream(records.scored, records.lengths)
        partly = scored is not None
        event = Ragged(Mixed((Span(span.name, Discrete(span.event.classes + 1)),)), context + 1, partly=partly)
        return cls(
            event,
            records.table,
            records.given,
            **given,
            borders=borders,
            first=first,
            stop=stop,
            scored=scored,
            single=single,
        )

    @property
    def context(self) -> int:
        """Targets of a window."""
        return self.event.max_length - 1

    @property
    def mark(self) -> int:
        """The class that begins and ends a record."""
        span = self.event.element.spans[0].event
        assert isinstance(span, Discrete)
        return span.classes - 1

    @property
    def lengths(self) -> np.ndarray:
        """Places of each window that are no padding, int64 [windows]."""
        return np.asarray(np.minimum(self.stop - self.first, self.context + 1))

    @property
    def looks(self) -> float:
        """How often each target is shown when all windows are seen once: up to 4."""
        shown = self.lengths - 1
        return float(shown.sum() / max(1, shown[self._alone()].sum()))

    def __len__(self) -> int:
        return len(self.first)

    def batch(self, rows: slice | np.ndarray = slice(None)) -> Batch:
        """These windows, cells and mask [rows, context + 1, 1]; with given fields no longer than the longest of them.

        `lengths` are the places before the padding. `scored` is that of a batch of records, [rows, context + 2]: places
        that count as targets, and behind them none.
        """
        first, lengths = self.first[rows], self.lengths[rows]
        width = int(lengths.max(initial=1)) if self.single else self.context + 1
        step = np.arange(width)
        there = step < lengths[:, None]
        places = np.where(there, first[:, None] + step, first[:, None])
        record = np.searchsorted(self.borders, places, side="right") - 1
        marks = self.borders[record] == places
        cells = np.full(places.shape, self.mark)
        cells[~marks] = self.table[(places - record - 1)[~marks], 0]
        known = there & (cells != ABSENT)
        cond = self.given_batch(record[:, 0]) if self.conditional else None
        return Batch(
            torch.from_numpy(np.where(known, cells, 0)[:, :, None]),
            torch.from_numpy(known[:, :, None]),
            cond,
            lengths=torch.from_numpy(lengths),
            scored=self._scored(places, there),
        )

    def _scored(self, places: np.ndarray, there: np.ndarray) -> torch.Tensor | None:
        if self.scored is None:
            return None
        return torch.from_numpy(np.pad(there & self.scored[places], ((0, 0), (0, 1))))

    def select(self, rows: np.ndarray | slice) -> Windows:
        """These windows, of the same stream."""
        return replace(self, first=self.first[rows], stop=self.stop[rows])

    def apart(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Window numbers (to learn from, held out), each ascending; no target of one is a target of the other.

        Windows side by side are held out, in a few stretches spread over the stream; `count` overlapping windows show
        as much of it as `count / looks` of these, and so many are held out.
        """
        alone = np.flatnonzero(self._alone())
        wanted = min(max(1, round(count / self.looks)), len(alone) - 1) if count and len(alone) else 0
        if wanted <= 0:
            return np.arange(len(self)), np.zeros(0, np.int64)
        overlap = len(alone) < len(self)
        held = alone[_stretches(len(alone), wanted, min(STRETCHES, -(-wanted // 4)) if overlap else wanted, seed)]
        free = np.ones(len(self), bool)
        reach = self.first + self.lengths - 1  # place of the last target
        order = np.argsort(self.first[held], kind="stable")
        begins, ends = self.first[held][order], reach[held][order]
        before = np.searchsorted(begins, reach, side="left") - 1  # the last held window that begins before the end
        meets = (before >= 0) & (ends[before.clip(0)] > self.first)
        free[meets] = False
        return np.flatnonzero(free), held

    def split(self, share: float, seed: int) -> tuple[Windows, Windows]:
        """(learn, validate), as `apart` takes them apart."""
        learn, held = self.apart(round(share * len(self)), seed)
        return self.select(learn), self.select(held)

    def _alone(self) -> np.ndarray:
        """Which windows are of the first phase: side by side, they show every target once. Bool [windows]."""
        begin = self.borders[np.searchsorted(self.borders, self.first, "right") - 1] if self.single else 0
        return np.asarray((self.first - begin) % self.context == 0)


def _of_stream(scored: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Which places of the stream count, bool [places], from those of all records as in `Sequences`."""
    there = np.repeat(lengths >= 0, lengths.clip(min=0) + 1)
    return np.concatenate([[False], scored[there]])  # the first mark is told by nothing


def _starts(begin: np.ndarray, end: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Where windows of pieces of a stream begin, and where their piece stops; pieces show `begin` to `end`, included.

    A piece that fits into one window has only that.
    """
    targets, phases = end - begin, min(PHASES, context)
    count = np.where(targets <= context, 1, -(-targets * phases // context))
    piece = np.repeat(np.arange(len(begin)), count)
    number = np.arange(int(count.sum())) - np.repeat(count.cumsum() - count, count)
    return begin[piece] + number * context // phases, end[piece] + 1


def _stretches(total: int, wanted: int, runs: int, seed: int) -> np.ndarray:
    """Numbers below `total`, `wanted` of them in `runs` stretches: one at a random place of each equal part."""
    rng = np.random.default_rng([seed, 1])
    sizes, spare = (np.diff(np.arange(runs + 1) * part // runs) for part in (wanted, total - wanted))
    begin = (sizes + spare).cumsum() - (sizes + spare) + rng.integers(0, spare + 1)
    return np.repeat(begin - (sizes.cumsum() - sizes), sizes) + np.arange(wanted)
