"""From a pass over raw cells to a data set: scan every column, settle a plan, then convert; hold it or stream it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from ensample.data import marks
from ensample.data.cells import canonical, canonical_type, convert, is_text, refuse_type
from ensample.data.dataset import Dataset, refuse_twins
from ensample.data.infer import TEXT_ONLY, ColumnScan, Ladder, Plan
from ensample.data.missing import Spellings
from ensample.data.store import Memory, Stream
from ensample.data.texts import TEXT, is_free_text
from ensample.errors import InputError

ROWS = 65_536
"""Rows that a reader hands over at a time where the format leaves the choice."""


@dataclass(frozen=True)
class Feed:
    """A source of raw batches that can be passed over again.

    Arguments:
        label: what to call the source in messages.
        open: begins a pass over these columns (None: all), in the order of the source.
        ladder: the types that texts of the source may stand for; an empty one if the source has types of its own.
        ladders: other ladders for columns of these names.
        rows: the number of rows, if the source knows it without a pass.
        notes: remarks to hand on to the user.
        schema: the types of its columns, if the source knows them without a pass.
        texts: columns that are texts as they stand: no spelling in them means "missing" unless the user says so, and
            they never become numbers or dates.
    """

    label: str
    open: Callable[[Sequence[str] | None], Iterator[pa.RecordBatch]]
    ladder: Ladder = TEXT_ONLY
    ladders: Mapping[str, Ladder] = field(default_factory=dict)
    rows: int | None = None
    notes: tuple[str, ...] = ()
    schema: pa.Schema | None = None
    texts: tuple[str, ...] = ()


@dataclass
class Scan:
    """What a pass over a feed has seen."""

    feed: Feed
    spellings: Spellings
    schema: pa.Schema | None = None
    columns: dict[str, ColumnScan] = field(default_factory=dict)
    rows: int = 0

    def see(self, batch: pa.RecordBatch) -> None:
        """Look at the text columns of the next batch."""
        if self.schema is None:
            self._begin(batch.schema)
        for name, scan in self.columns.items():
            scan.see(_texts(batch.column(name), scan))
        self.rows += batch.num_rows

    def _begin(self, schema: pa.Schema) -> None:
        refuse_twins(schema.names, self.feed.label)
        for column in schema:
            refuse_type(column, self.feed.label)
            as_is = column.name in self.feed.texts or is_free_text(column)
            if is_text(column.type) and not (as_is and self.spellings.usual):
                levels = pa.types.is_dictionary(column.type)  # which are names, even if they look like numbers
                ladder = TEXT_ONLY if levels or as_is else self.feed.ladders.get(column.name, self.feed.ladder)
                self.columns[column.name] = ColumnScan(column.name, ladder, self.spellings)
        self.schema = schema

    def plans(self) -> tuple[Plan, ...]:
        """A plan for every column of the source."""
        assert self.schema is not None
        plans = []
        for column in self.schema:
            if column.name not in self.columns:
                plans.append(Plan(column.name, canonical_type(column.type)))
                continue
            plan = self.columns[column.name].plan()
            if pa.types.is_dictionary(column.type):  # levels stay levels
                plan = Plan(column.name, canonical_type(column.type), plan.gone, plan.spelling)
            plans.append(plan)
        return tuple(plans)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about columns."""
        return tuple(scan.note for scan in self.columns.values() if scan.note)


def gather(feed: Feed, spellings: Spellings, memory: float) -> Dataset:
    """The data set of a feed: in memory if its raw cells fit into `memory` bytes, else a stream.

    Raises:
        InputError: there are no rows, names are repeated, a type is not one of a table's, or a number is infinite.
    """
    scan, held, size = Scan(feed, spellings), list[pa.RecordBatch](), 0
    fits = True
    for batch in feed.open(None):
        scan.see(batch)
        if fits:
            held.append(batch)
            size += batch.nbytes
            fits = size <= memory
        if not fits:
            held.clear()
            if feed.rows is not None:
                scan = _scan_texts(feed, spellings, scan)
                break
    if scan.rows == 0:
        raise InputError("A table must hold records.", feed.label, "no record below the names", "check how it was made")
    plans = scan.plans()
    schema = _marked(scan, plans)
    notes = (*feed.notes, *scan.notes)
    if fits:
        return Dataset(Memory(_table(held, plans, schema, feed.label)), None, feed.label, notes)
    return Dataset(Stream(schema, scan.rows, _Reopen(feed, plans, schema)), None, feed.label, notes)


def _scan_texts(feed: Feed, spellings: Spellings, begun: Scan) -> Scan:
    """Scan a source that knows its length: only its text columns need a pass."""
    if begun.columns:
        whole = Scan(feed, spellings)
        for batch in feed.open(tuple(begun.columns)):
            whole.see(batch)
        begun.columns = whole.columns
    begun.rows = feed.rows or 0
    return begun


def _texts(cells: pa.Array, scan: ColumnScan) -> pa.Array:
    """Cells as plain texts; of a dictionary the levels alone, unless some mean "missing" and must be counted."""
    if not pa.types.is_dictionary(cells.type):
        return canonical(cells)
    levels = canonical(cells).dictionary
    suspects = scan.spellings.missing_of(dict.fromkeys(levels.to_pylist(), 1), typed=False, codes=False)
    return canonical(cells).dictionary_decode() if suspects else levels


def _marked(scan: Scan, plans: Sequence[Plan]) -> pa.Schema:
    assert scan.schema is not None
    fields = [
        marks.mark(
            column.with_type(plan.type).with_nullable(True),
            plan.spelling,
            plan.wording,
            TEXT if column.name in scan.feed.texts and pa.types.is_string(plan.type) else None,
        )
        for column, plan in zip(scan.schema, plans, strict=True)
    ]
    return pa.schema(fields, scan.schema.metadata)


def _table(batches: list[pa.RecordBatch], plans: Sequence[Plan], schema: pa.Schema, label: str) -> pa.Table:
    """Convert column by column, letting go of the raw cells on the way."""
    raw = [[batch.column(j) for batch in batches] for j in range(len(plans))]
    batches.clear()
    columns = []
    for plan in plans:
        chunks = raw.pop(0)
        whole = pa.chunked_array(chunks).unify_dictionaries()
        columns.append(convert(whole, plan, label))
    return pa.Table.from_arrays(columns, schema=schema)


@dataclass(frozen=True)
class _Reopen:
    """A pass over the converted rows of a stream."""

    feed: Feed
    plans: tuple[Plan, ...]
    schema: pa.Schema

    def __call__(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        by_name = {plan.name: plan for plan in self.plans}
        schema = pa.schema([self.schema.field(name) for name in names], self.schema.metadata)
        row = 0
        for batch in self.feed.open(tuple(names)):
            columns = [
                convert(pa.chunked_array([batch.column(name)]), by_name[name], self.feed.label, row).combine_chunks()
                for name in names
            ]
            yield pa.RecordBatch.from_arrays([_one(column) for column in columns], schema=schema)
            row += batch.num_rows


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def machine_share() -> int:
    """What a table may take before it streams: a quarter of the memory of this process, at most 1 GiB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 * 2**30
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return min(total // 4, 2**30)
