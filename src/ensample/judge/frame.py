"""Tables as numbers that judges can compare: one coding for real and made rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.schema import Schema

LEVELS, OFTEN = 250, 10
"""Levels with a code of their own: at most so many, each with so many training rows (the 12 commonest in any case).

All others share one code, seen in training or not: made rows hold no unseen level, held-out rows do, and a judge should
not be handed that.
"""
NUMBERS = ("number", "datetime")
CATEGORIES = ("category", "boolean")
HUGE = 1e30


@dataclass(frozen=True)
class Column:
    """One column: numbers as they are (days for dates), or codes of `levels`; NaN where missing. float64 [rows]."""

    name: str
    values: np.ndarray
    levels: tuple[str, ...] | None = None

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers rather than codes."""
        return self.levels is None


@dataclass(frozen=True)
class Frame:
    """Columns of one table in the schema's order, without constants and identifiers."""

    columns: tuple[Column, ...]
    rows: int

    def __len__(self) -> int:
        return self.rows

    @cached_property
    def matrix(self) -> np.ndarray:
        """All values, float64 [rows, columns], infinities cut to +-1e30."""
        if not self.columns:
            return np.zeros((self.rows, 0))
        return np.asarray(np.clip(np.column_stack([c.values for c in self.columns]), -HUGE, HUGE))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Positions of the number columns."""
        return tuple(j for j, c in enumerate(self.columns) if c.is_number)

    @cached_property
    def categories(self) -> tuple[int, ...]:
        """Positions of the category columns."""
        return tuple(j for j, c in enumerate(self.columns) if not c.is_number)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(c.name for c in self.columns)

    def take(self, rows: np.ndarray | slice) -> Frame:
        """The frame of these rows."""
        columns = tuple(Column(c.name, c.values[rows], c.levels) for c in self.columns)
        return Frame(columns, len(np.arange(self.rows)[rows]))

    def sample(self, count: int, seed: int) -> Frame:
        """At most `count` rows drawn without repetition; a pure function of the seed."""
        if count >= self.rows:
            return self
        return self.take(np.random.default_rng(seed).permutation(self.rows)[:count])


@dataclass(frozen=True)
class Coding:
    """How each column of a schema becomes numbers: the levels of its categories, most frequent first."""

    names: tuple[str, ...]
    levels: tuple[tuple[str, ...] | None, ...]

    @classmethod
    def fit(cls, train: pa.Table, schema: Schema) -> Coding:
        """Read the levels off the training rows. Raises InputError if a column of the schema is not there."""
        names, levels = [], []
        for field in schema.fields:
            if field.kind.name in NUMBERS + CATEGORIES:
                names.append(field.name)
                levels.append(None if field.kind.name in NUMBERS else _levels(_column(train, field.name)))
        return cls(tuple(names), tuple(levels))

    def frame(self, table: pa.Table) -> Frame:
        """Code a table. Raises InputError if it lacks a column."""
        columns = []
        for name, levels in zip(self.names, self.levels, strict=True):
            column = _column(table, name)
            values = _numbers(column) if levels is None else _codes(column, levels)
            columns.append(Column(name, values, None if levels is None else (*levels, "(other levels)")))
        return Frame(tuple(columns), table.num_rows)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if table.column_names.count(name) != 1:
        raise InputError(
            "Real and made rows have the same columns.", f"column {name!r}", "not in the table", "pass the whole table"
        )
    return table.column(name)


def _levels(column: pa.ChunkedArray) -> tuple[str, ...]:
    counts = pc.value_counts(_text(column).drop_null())
    found = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    ranked = sorted(found, key=lambda item: (-item[1], item[0]))
    return tuple(level for k, (level, count) in enumerate(ranked[:LEVELS]) if count >= OFTEN or k < 12)


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_binary(column.type) or pa.types.is_nested(column.type):
        return pa.chunked_array([[None if v is None else str(v) for v in column.to_pylist()]], pa.string())
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    return column.cast(pa.string())


def _codes(column: pa.ChunkedArray, levels: tuple[str, ...]) -> np.ndarray:
    coded = _text(column).combine_chunks().dictionary_encode()
    place = {level: j for j, level in enumerate(levels)}
    found = coded.dictionary.to_pylist()
    lookup = np.array([place.get(v, len(levels)) for v in found] + [np.nan], dtype=np.float64)
    index = coded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.asarray(lookup[index])


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_temporal(kind):
        return _days(column)
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        column = column.cast(pa.float64(), safe=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = column.cast(pa.float64())
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _days(column: pa.ChunkedArray) -> np.ndarray:
    """Dates and times as days; times of day and durations as days too."""
    kind = column.type
    if pa.types.is_time(kind):
        column = column.cast(pa.time64("us")).cast(pa.int64())
    elif pa.types.is_duration(kind):
        column = column.cast(pa.duration("us")).cast(pa.int64())
    else:
        column = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).cast(pa.int64())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64) / 86_400e6


def row_ids(tables: Sequence[pa.Table], names: Sequence[str]) -> list[np.ndarray]:
    """Equal rows, equal numbers: one int64 array a table, comparing the named columns value for value (null = null)."""
    sizes = [t.num_rows for t in tables]
    ids = np.zeros(sum(sizes), dtype=np.int64)
    for name in names:
        plain = _common([_column(t, name).type for t in tables])
        chunks = [c for t in tables for c in _column(t, name).cast(plain, safe=False).chunks]
        coded = pa.chunked_array(chunks, plain).combine_chunks().dictionary_encode()
        codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
        _, ids = np.unique(ids * (len(coded.dictionary) + 1) + codes, return_inverse=True)
    return np.split(ids, np.cumsum(sizes)[:-1])


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """A type in which values of all these types can be compared."""
    plain = [k.value_type if pa.types.is_dictionary(k) else k for k in kinds]
    if all(k == plain[0] for k in plain):
        return plain[0]
    numeric = all(pa.types.is_integer(k) or pa.types.is_floating(k) or pa.types.is_null(k) for k in plain)
    return pa.float64() if numeric else pa.string()
