"""Dialogues that are written as pairs of a role and a text: brought into the form of turns as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from ensample.data.dialogues import ROLE, TEXT, from_pairs, is_pairs
from ensample.data.readers.feed import Feed
from ensample.errors import InputError

TURNS = pa.list_(pa.struct({ROLE: pa.string(), TEXT: pa.string()}))
"""The type of dialogues that were pairs."""


def paired(feed: Feed) -> Feed:
    """The same feed, in which lists of [role, text] are lists of turns. Others are handed on as they are."""
    if feed.schema is not None and not any(map(is_pairs, feed.schema.types)):
        return feed
    first = next((batch for batch in feed.open(None) if batch.num_rows), None)
    if first is None:
        return feed
    names = [f.name for f in first.schema if is_pairs(f.type) and from_pairs(first.column(f.name)) is not None]
    if not names:
        return feed
    schema = None if feed.schema is None else _turned(feed.schema, names)
    return replace(feed, open=_Paired(feed.open, tuple(names), feed.label), schema=schema)


@dataclass(frozen=True)
class _Paired:
    """A pass over a feed."""

    open: Callable[[Sequence[str] | None], Iterator[pa.RecordBatch]]
    names: tuple[str, ...]
    label: str

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        row = 0
        for batch in self.open(names):
            columns = [
                self._turns(column, row, f.name) if f.name in self.names else column
                for f, column in zip(batch.schema, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=_turned(batch.schema, self.names))
            row += batch.num_rows

    def _turns(self, column: pa.Array, row: int, name: str) -> pa.Array:
        made = from_pairs(column)
        if made is not None:
            return made
        wrong = next(j for j in range(len(column)) if from_pairs(column.slice(j, 1)) is None)
        place = f"{self.label}, column {name!r}, record {row + wrong + 1:,}"
        rule = "A turn is a pair of a role and a text, as in the first records."
        raise InputError(rule, place, "a list that is no pair", "repair the record, or leave it out")


def _turned(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    fields = [f.with_type(TURNS) if f.name in names else f for f in schema]
    return pa.schema(fields, schema.metadata)
