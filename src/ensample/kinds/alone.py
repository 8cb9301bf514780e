"""What the codecs of fields that are learned alone share: a sequence or a picture, and given fields beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

import numpy as np
import pyarrow as pa

from ensample.data import marks
from ensample.data.schema import Schema
from ensample.events import Batch, Limit
from ensample.kinds.base import Kind
from ensample.kinds.codec import BATCH_ROWS, TableCodec, rule_of
from ensample.kinds.records import Records

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

K = TypeVar("K", bound=Kind)


class AloneCodec(ABC, Generic[K]):
    """Records of a schema of which one field is learned, of a kind that needs an event of its own. Abstract.

    Takes the place of `TableCodec`; other modelled fields may be there if nothing of them is learned (constants,
    identifiers).

    Arguments:
        schema: all fields.
        model: names of the fields that are learned: one of the kind `sort`, and fields without spans.
        given: names of the fields that are given, plain ones.

    Attributes:
        rows_at_once: records that are taken from the data at a time, None for as many as lie together.
        told: the kind that records made tell of themselves, where their type does not.
        field, kind: the learned one.
        beside: the codec of all other fields.
        event: what one record looks like to a family.
        given_event: the same for the given fields, None if there are none.
    """

    sort: ClassVar[type[Any]]
    rows_at_once: ClassVar[int | None] = BATCH_ROWS
    told: ClassVar[str | None] = None
    event: Any

    def __init__(self, schema: Schema, model: tuple[str, ...], given: tuple[str, ...] = ()) -> None:
        self.schema, self.model, self.given = schema, tuple(model), tuple(given)
        self.field = next(name for name in model if isinstance(schema[name].kind, self.sort))
        self.kind = cast(K, schema[self.field].kind)
        self.beside = TableCodec(schema, tuple(name for name in model if name != self.field), self.given)
        self.event = cast(Any, self.kind).event
        self.given_event = self.beside.given_event

    @abstractmethod
    def encode(self, dataset: Dataset, holes: bool = False) -> Records:
        """All records as cells; see `TableCodec.encode`."""

    @abstractmethod
    def values(self, batch: Batch, rng: np.random.Generator) -> pa.Array:
        """The learned field from its cells."""

    def columns_of(self, field: str) -> range:
        """Numbers of the spans of a plain field; raises InputError for the learned one, which has none of its own."""
        if field == self.field:
            self.kind.limits(rule_of(None, field), field)
        return self.beside.columns_of(field)

    def decode(self, batch: Batch, seed: int, first: int = 0) -> Dataset:
        """Cells as records, in the schema's order; see `TableCodec.decode`."""
        from ensample.data.dataset import Dataset

        made = self.values(batch, np.random.default_rng([seed, self.schema.names.index(self.field)]))
        nothing = batch.cells.new_zeros(len(batch), 0)
        beside = self.beside.decode(Batch(nothing, nothing.bool(), batch.cond), seed, first).to_arrow()
        schema = self.schema.select(n for n in self.schema.names if n == self.field or n in beside.column_names)
        fields, columns = [], []
        for field in schema:
            own = field.name == self.field
            columns.append(made if own else beside.column(field.name))
            plain = pa.field(field.name, made.type) if own else beside.schema.field(field.name)
            told = self.told if own else None
            fields.append(marks.mark(plain, field.missing or None, field.wording or None, told))
        return Dataset.from_arrow(pa.Table.from_arrays(columns, schema=pa.schema(fields)), schema, "sample")

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
