"""The codec of a whole table: fields side by side in one event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.data import marks
from ensample.data.pictures.column import batch_rows
from ensample.data.schema import Schema
from ensample.errors import InputError
from ensample.events import Batch, Limit, Mixed, Span
from ensample.kinds.arrow import is_missing
from ensample.kinds.base import Kind, Rule, impossible, shifted
from ensample.kinds.records import ABSENT, Records, Writer

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

BATCH_ROWS = 65_536


class TableCodec:
    """Records of a schema as cells, and back.

    Arguments:
        schema: all fields.
        model: names of the fields that are learned, in the order in which they are predicted.
        given: names of the fields that are given.

    Attributes:
        event: what one record looks like to a family.
        given_event: the same for the given fields, None if there are none.
    """

    def __init__(self, schema: Schema, model: tuple[str, ...], given: tuple[str, ...] = ()) -> None:
        self.schema, self.model, self.given = schema, tuple(model), tuple(given)
        self._columns: dict[str, range] = {}
        self.event = self._event(self.model)
        self.given_event = self._event(self.given) if self.given else None

    def _event(self, names: tuple[str, ...]) -> Mixed:
        spans: list[Span] = []
        for name in names:
            own = shifted(self._kind(name).spans(name), len(spans))
            self._columns[name] = range(len(spans), len(spans) + len(own))
            spans += own
        return Mixed(tuple(spans))

    def _kind(self, name: str) -> Kind:
        return self.schema[name].kind

    def columns_of(self, field: str) -> range:
        """Numbers of the spans of one field, within the event of the model or of the given fields."""
        self._check_known(field)
        return self._columns[field]

    def encode(self, dataset: Dataset, holes: bool = False) -> Records:
        """All records as cells, in memory, or in a temporary file where they would take too much of it.

        Arguments:
            dataset: holds at least the fields of the codec; streams if it is larger than memory.
            holes: a missing value leaves its spans unset, to be filled, instead of being the state "missing".

        Raises:
            InputError: a field is not there, or a value cannot be one of its field.
        """
        self._check_fields(dataset.names)
        rows = len(dataset)
        table = Writer(rows, len(self.event))
        given = Writer(rows, len(self.given_event)) if self.given_event is not None else None
        done = 0
        for batch in self._batches(dataset, (*self.model, *self.given)):
            table.add(self._cells(batch, self.model, len(self.event), holes, done))
            if given is not None and self.given_event is not None:
                given.add(self._cells(batch, self.given, len(self.given_event), holes, done))
            done += len(batch)
        return Records(self.event, table.done(), self.given_event, given.done() if given is not None else None)

    def _batches(self, dataset: Dataset, names: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        """These columns alone; where there are none, batches of nothing but the right number of rows."""
        if names:
            yield from dataset.batches(batch_rows(dataset.arrow_schema, BATCH_ROWS), names)
        for start in range(0, 0 if names else len(dataset), BATCH_ROWS):
            yield pa.record_batch([pa.nulls(min(BATCH_ROWS, len(dataset) - start))], ["nothing"])

    def cells(self, batch: pa.RecordBatch, holes: bool = False) -> np.ndarray:
        """Cells [rows, spans] of the modelled fields of one batch; see `encode`."""
        return self._cells(batch, self.model, len(self.event), holes, 0)

    def columns(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> list[pa.Array]:
        """The modelled fields, in their order, from cells [rows, spans] with `ABSENT`."""
        places = [(self._kind(name), self._columns[name]) for name in self.model]
        return [kind.decode(table[:, place.start : place.stop], rng, first) for kind, place in places]

    def _cells(self, batch: pa.RecordBatch, names: tuple[str, ...], spans: int, holes: bool, done: int) -> np.ndarray:
        out = np.empty((len(batch), spans), np.int64)
        for name in names:
            column, place = batch.column(name), self._columns[name]
            cells = _encoded(self._kind(name), column, name, done)
            if holes and len(place):
                cells[is_missing(column)] = ABSENT
            out[:, place.start : place.stop] = cells
        return out

    def decode(self, batch: Batch, seed: int, first: int = 0) -> Dataset:
        """Cells as records: the fields of the model and, if the batch holds them, the given ones.

        Columns stand in the schema's order. `seed` makes identifiers, which count on from row number `first`; nothing
        else is random.
        """
        from ensample.data.dataset import Dataset

        parts = [(self.model, batch)] + ([(self.given, batch.cond)] if batch.cond is not None else [])
        made: dict[str, pa.Array] = {}
        for names, part in parts:
            table = np.where(part.mask.numpy(), part.cells.numpy(), ABSENT)
            for name in names:
                place = self._columns[name]
                rng = np.random.default_rng([seed, self.schema.names.index(name)])
                made[name] = self._kind(name).decode(table[:, place.start : place.stop], rng, first)
        fields = [field for field in self.schema if field.name in made]
        marked = [marks.mark(pa.field(f.name, made[f.name].type), f.missing or None, f.wording or None) for f in fields]
        table = pa.Table.from_arrays([made[f.name] for f in fields], schema=pa.schema(marked))
        return Dataset.from_arrow(table, Schema(tuple(fields)), "sample")

    def log_volume(self, dataset: Dataset) -> np.ndarray:
        """What the codec adds to each record's log-probability: the price of values never seen: float64 [rows]."""
        self._check_fields(dataset.names)
        parts = []
        for batch in self._batches(dataset, self.model):
            total = np.zeros(len(batch))
            for name in self.model:
                total += self._kind(name).log_volume(batch.column(name), name)
            parts.append(total)
        return np.concatenate(parts) if parts else np.zeros(0)

    def limits(self, where: Mapping[str, Any]) -> list[Limit]:
        """The wishes of a condition as limits on spans.

        Each field may have one value, a list or set of values, or a pair (low, high) with both ends included and None
        for an open end; None stands for missing.

        Raises:
            InputError: a field is unknown, or no record can fulfil the wish.
        """
        found = []
        for name, wish in where.items():
            self._check_known(name)
            ranges = self._kind(name).limits(rule_of(wish, name), name)
            place = self._columns[name]
            # Where a field's second span has no ranges, the state excludes it already.
            found += [Limit(j, allowed) for j, allowed in zip(place, ranges, strict=True) if allowed]
        return found

    def present(self, fields: Iterable[str]) -> list[Limit]:
        """Limits that keep these fields from being missing."""
        allowed = [(self._columns[name], self._kind(name).present()) for name in fields]
        return [Limit(place.start, ranges) for place, ranges in allowed if ranges is not None]

    def _check_known(self, name: str) -> None:
        if name not in self._columns:
            near = get_close_matches(str(name), self._columns, n=3) or list(self._columns)[:8]
            fix = f"choose from {', '.join(near)}"
            raise InputError("A condition must name a field of the model.", "where", repr(name), fix)

    def _check_fields(self, names: Iterable[str]) -> None:
        there = set(names)
        lacking = [name for name in (*self.model, *self.given) if name not in there]
        if lacking:
            raise InputError(
                "The data must have every field of the model.",
                "columns",
                f"no {', '.join(map(repr, lacking))} among {', '.join(map(repr, names))}",
                "add the column (null where it is not known), or rename the one that is meant",
            )


def rule_of(wish: Any, field: str) -> Rule:
    """A wish as the user said it, as a rule.

    Example:
        >>> rule_of((30, 40), "age"), rule_of(["a", "b"], "cut").values
        (Rule(values=None, low=30, high=40), ('a', 'b'))
    """
    if isinstance(wish, range):
        wish = list(wish)
    if isinstance(wish, tuple):
        if len(wish) != 2:
            raise impossible(field, f"{wish!r}", "a range is a pair (low, high); write a set of values as a list")
        wish = tuple(None if _is_missing(end) else end for end in wish)
        if wish == (None, None):
            raise impossible(field, "a range without ends", "leave the field out of the condition")
        return Rule(None, *wish)
    if isinstance(wish, list | set | frozenset | np.ndarray | pa.Array | pa.ChunkedArray):
        values = wish.to_pylist() if isinstance(wish, pa.Array | pa.ChunkedArray) else list(wish)
        values = [None if _is_missing(value) else value for value in values]
        if not values:
            raise impossible(field, "an empty list of values", "name at least one value")
        return Rule(tuple(values))
    return Rule((None if _is_missing(wish) else wish,))


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT and the NA of pandas."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    try:
        return bool(pa.array([value], from_pandas=True).null_count)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # what Arrow has no type for is a value
        return False


def _encoded(kind: Kind, column: pa.Array, field: str, done: int) -> np.ndarray:
    """Cells of one batch; an error names the row of the whole data set."""
    try:
        return kind.encode(column, field)
    except InputError as error:
        place, _, row = error.place.rpartition(", row ")
        if not place or not row.isdigit():
            raise
        raise InputError(error.rule, f"{place}, row {int(row) + done}", error.seen, error.fix) from None
