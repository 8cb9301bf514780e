"""What the codecs of fields that are learned alone share: a sequence or a picture, and given fields beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

import numpy as np
import pyarrow as pa

from ensample.data import marks
from ensample.data.schema import Schema
from ensample.errors import InputError
from ensample.events import Batch, Limit, Mixed
from ensample.kinds.arrow import is_missing
from ensample.kinds.base import Kind
from ensample.kinds.codec import BATCH_ROWS, TableCodec, rule_of
from ensample.kinds.records import Given, Records

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

K = TypeVar("K", bound=Kind)


class AloneCodec(ABC, Generic[K]):
    """Records of a schema of which one field is learned, of a kind that needs an event of its own. Abstract.

    Takes the place of `TableCodec`; other modelled fields may be there if nothing of them is learned (constants,
    identifiers). What is given are plain fields, or one sequence (a text to translate): then `given_event` is a
    `Ragged`, and the `cond` of a batch is a ragged batch.

    Arguments:
        schema: all fields.
        model: names of the fields that are learned: one of the kind `sort`, and fields without spans.
        given: names of the fields that are given: plain ones, or one that `source` encodes.
        source: the codec of the given sequence alone, None if there is none.

    Attributes:
        rows_at_once: records that are taken from the data at a time, None for as many as lie together.
        told: the kind that records made tell of themselves, where their type does not.
        sequential: whether records are sequences, which may be given another sequence, or be given themselves.
        field, kind: the learned one.
        beside: the codec of all other fields.
        event: what one record looks like to a family.
        given_event: the same for the given fields, None if there are none.
    """

    sort: ClassVar[type[Any]]
    rows_at_once: ClassVar[int | None] = BATCH_ROWS
    told: ClassVar[str | None] = None
    sequential: ClassVar[bool] = False
    event: Any

    def __init__(
        self,
        schema: Schema,
        model: tuple[str, ...],
        given: tuple[str, ...] = (),
        source: AloneCodec[Any] | None = None,
    ) -> None:
        self.schema, self.model, self.given, self.source = schema, tuple(model), tuple(given), source
        self.field = next(name for name in model if isinstance(schema[name].kind, self.sort))
        self.kind = cast(K, schema[self.field].kind)
        plain = self.given if source is None else ()
        self.beside = TableCodec(schema, tuple(name for name in model if name != self.field), plain)
        self.event = cast(Any, self.kind).event
        self.given_event: Mixed | None = self.beside.given_event if source is None else source.event

    @abstractmethod
    def encode(self, dataset: Dataset, holes: bool = False) -> Records:
        """All records as cells; see `TableCodec.encode`."""

    def given_of(self, dataset: Dataset) -> Given:
        """What is given of all records, as arguments of `Records`; raises InputError where it is missing."""
        plain = self.beside.encode(dataset).given_table
        sources = None if self.source is None else cast(Any, self.source.whole(dataset))
        return {"given_table": plain, "sources": sources}

    def whole(self, dataset: Dataset) -> Records:
        """The learned field of all records, as what is given to another.

        Raises:
            InputError: it is missing, as a field or in a record.
        """
        self._check_there(dataset)
        done = 0
        for batch in dataset.batches(self.rows_at_once, [self.field]):
            gone = is_missing(batch.column(self.field))
            if gone.any():
                place = f"column {self.field!r}, row {done + int(gone.argmax())}"
                fix = "leave the record out, or fill it"
                raise InputError("What is given must be there.", place, f"no {self.kind.name}", fix)
            done += len(batch)
        return self.encode(dataset)

    @abstractmethod
    def values(self, batch: Batch, rng: np.random.Generator) -> pa.Array:
        """The learned field from its cells."""

    def columns_of(self, field: str) -> range:
        """Numbers of the spans of a given or plain field; raises InputError for the learned one, which has none."""
        if field == self.field:
            self.kind.limits(rule_of(None, field), field)
        if self.source is not None and field == self.source.field:
            return range(len(self.source.event.element))
        return self.beside.columns_of(field)

    def decode(self, batch: Batch, seed: int, first: int = 0) -> Dataset:
        """Cells as records, in the schema's order; see `TableCodec.decode`."""
        from ensample.data.dataset import Dataset

        made = self.values(batch, np.random.default_rng([seed, self.schema.names.index(self.field)]))
        nothing = batch.cells.new_zeros(len(batch), 0)
        plain = batch.cond if self.source is None else None
        others = [self.beside.decode(Batch(nothing, nothing.bool(), plain), seed, first).to_arrow()]
        if self.source is not None and batch.cond is not None:
            others.append(self.source.decode(batch.cond, seed, first).to_arrow())
        columns = {name: (part.field(name), part.column(name)) for part in others for name in part.column_names}
        columns[self.field] = (pa.field(self.field, made.type), made)
        schema = self.schema.select(name for name in self.schema.names if name in columns)
        fields = []
        for field in schema:
            told = self.told if field.name == self.field else None  # other columns tell their kind already
            fields.append(marks.mark(columns[field.name][0], field.missing or None, field.wording or None, told))
        table = pa.Table.from_arrays([columns[name][1] for name in schema.names], schema=pa.schema(fields))
        return Dataset.from_arrow(table, schema, "sample")

    def log_volume(self, dataset: Dataset) -> np.ndarray:
        """What the codec adds to each record's log-probability: the price of values never seen: float64 [rows]."""
        self._check_there(dataset)
        own = [
            self.kind.log_volume(batch.column(self.field), self.field)
            for batch in dataset.batches(self.rows_at_once, [self.field])
        ]
        return np.asarray(self.beside.log_volume(dataset) + np.concatenate([np.zeros(0), *own]))

    def limits(self, where: Mapping[str, Any]) -> list[Limit]:
        """Raises InputError: a condition cannot be about the learned field."""
        for name, wish in where.items():
            self.columns_of(name)
            self.beside.limits({name: wish})
        return []

    def present(self, fields: Iterable[str]) -> list[Limit]:
        """Limits that keep parts of the learned field from being missing; none by default."""
        return []

    @abstractmethod
    def _check_there(self, dataset: Dataset) -> None:
        """Raise InputError if the learned field is not there, or is of another type."""
