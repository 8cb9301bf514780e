"""Series of one side, real or made, as numbers that measures can compare."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from ensample.data.nested import lengths_of, steps_of
from ensample.judge.frame import Coding, Column, Frame

SPAN = "{} → {}"
"""How two classes in a row are called."""
PAIRED = 10
"""Classes of which pairs in a row are counted; the others are one."""


@dataclass(frozen=True)
class Side:
    """Series: the values of all steps, one record after the other, and how many steps each record has.

    Arguments:
        frame: all steps; numbers, or codes of classes, NaN where missing.
        lengths: steps of each record, int64 [records]; a record that is missing as a whole has none.
    """

    frame: Frame
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, column: pa.ChunkedArray, coding: Coding) -> Side:
        """From a column of lists. Raises InputError if the steps lack a field."""
        return cls(coding.frame(step_table(column)), lengths_of(column, 0))

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each record begins among the steps, and their number behind the last, int64 [records + 1]."""
        return np.concatenate([[0], self.lengths.cumsum()])

    @cached_property
    def owners(self) -> np.ndarray:
        """The record of each step, int64 [steps]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def steps(self) -> int:
        """Steps of the longest record."""
        return int(self.lengths.max(initial=0))

    def take(self, rows: np.ndarray) -> Side:
        """The records of these rows."""
        lengths = self.lengths[rows]
        return self.cut(self.starts[:-1][rows], lengths)

    def cut(self, starts: np.ndarray, lengths: np.ndarray) -> Side:
        """So many steps from each of these places on, as records."""
        first = np.repeat(starts - (lengths.cumsum() - lengths), lengths)
        return Side(self.frame.take(first + np.arange(int(lengths.sum()))), lengths)

    def stretches(self, most: int, seed: int) -> Side:
        """The same records, of those with more steps a stretch of `most`, anywhere."""
        if self.steps <= most:
            return self
        room = (self.lengths - most).clip(min=0)
        begun = np.floor(np.random.default_rng(seed).random(len(self)) * (room + 1)).astype(np.int64)
        return self.cut(self.starts[:-1] + begun, self.lengths.clip(max=most))

    def padded(self, values: np.ndarray, steps: int) -> np.ndarray:
        """Values of all steps [all steps, ...] as records [records, steps, ...], NaN behind their end."""
        out = np.full((len(self), steps, *values.shape[1:]), np.nan)
        out[np.arange(steps) < self.lengths[:, None]] = values
        return out

    @cached_property
    def follows(self) -> np.ndarray:
        """Which steps come after another of their record, bool [steps]."""
        out = np.ones(len(self.owners), dtype=bool)
        out[self.starts[:-1][self.lengths > 0]] = False
        return out

    @cached_property
    def changes(self) -> Side:
        """From each step to the next: differences of numbers, pairs of classes as classes; NaN if one is missing."""
        after, columns = np.flatnonzero(self.follows), []
        for column in self.frame.columns:
            then, now = column.values[after - 1], column.values[after]
            if column.levels is None:
                columns.append(Column(column.name, now - then))
            else:
                levels = _few(column.levels)
                then, now = (np.minimum(side, len(levels) - 1) for side in (then, now))
                columns.append(Column(column.name, then * len(levels) + now, _pairs(levels)))
        return Side(Frame(tuple(columns), len(after)), (self.lengths - 1).clip(min=0))


def _few(levels: tuple[str, ...]) -> tuple[str, ...]:
    """The most frequent classes, the others as one."""
    return levels if len(levels) <= PAIRED else (*levels[: PAIRED - 1], levels[-1])


def _pairs(levels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(SPAN.format(one, other) for one in levels for other in levels)


def step_table(column: pa.ChunkedArray) -> pa.Table:
    """The steps of all records of a column of lists, one after the other."""
    steps = steps_of(column)
    return pa.Table.from_arrays(steps.columns, schema=steps.schema)
