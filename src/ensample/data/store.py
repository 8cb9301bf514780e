"""Where the rows of a data set lie: in memory, in a file that is read again on each pass, or in a part of either."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from ensample.data.pictures.column import batch_rows
from ensample.data.split import Part


class Store(Protocol):
    """Rows that can be passed over as often as one likes."""

    @property
    def arrow(self) -> pa.Schema:
        """Names, types and metadata of the columns."""
        ...

    @property
    def rows(self) -> int:
        """How many rows a pass gives."""
        ...

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """One pass over all rows, in order, with these columns, in batches of any size."""
        ...


@dataclass(frozen=True)
class Memory:
    """A table that is held whole."""

    table: pa.Table

    @property
    def arrow(self) -> pa.Schema:
        """Names, types and metadata of the columns."""
        return self.table.schema

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return int(self.table.num_rows)

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The chunks of the table."""
        yield from self.table.select(list(names)).to_batches()


@dataclass(frozen=True)
class Stream:
    """Rows that are read again from their source on each pass; `open(names)` begins one."""

    arrow: pa.Schema
    rows: int
    open: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """A pass over the source."""
        yield from self.open(names)


@dataclass(frozen=True)
class Side:
    """One side of a split of another store; which rows is decided row by row, so nothing is held."""

    whole: Store
    part: Part
    rows: int

    @property
    def arrow(self) -> pa.Schema:
        """As the whole."""
        return self.whole.arrow

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of the whole that fall on this side."""
        start = 0
        for batch in _pieces(self.whole.read(names)):
            chosen = self.part.contains(np.arange(start, start + batch.num_rows, dtype=np.uint64))
            start += batch.num_rows
            yield batch.filter(pa.array(chosen))


@dataclass(frozen=True)
class Projection:
    """Some columns of another store."""

    whole: Store
    names: tuple[str, ...]

    @property
    def arrow(self) -> pa.Schema:
        """The fields of these columns."""
        whole = self.whole.arrow
        return pa.schema([whole.field(name) for name in self.names], whole.metadata)

    @property
    def rows(self) -> int:
        """As the whole."""
        return self.whole.rows

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """A pass over the whole that asks for these columns only."""
        yield from self.whole.read(names)


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows; batches with many pictures in slices."""
    for batch in batches:
        rows = batch_rows(batch.schema, max(1, len(batch)))
        yield from (batch.slice(start, rows) for start in range(0, len(batch), rows))


def rebatch(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly `rows` (the last may be shorter)."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while count + batch.num_rows >= rows:
            need = rows - count
            yield from _join([*waiting, batch.slice(0, need)])
            batch, waiting, count = batch.slice(need), [], 0
        if batch.num_rows:
            waiting.append(batch)
            count += batch.num_rows
    if count:
        yield from _join(waiting)


def _join(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """One batch of them all; several where a column of texts holds more than 2 GiB."""
    return batches if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()
