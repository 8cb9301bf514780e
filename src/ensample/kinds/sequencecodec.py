"""The codec of records that are sequences: one field of lists, given fields beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data import marks
from ensample.data.nested import is_sequence, lengths_of, lists_of, steps_of
from ensample.data.schema import Schema
from ensample.errors import CapabilityError, InputError
from ensample.events import UNKNOWN_LENGTH, Batch, Limit
from ensample.kinds.codec import BATCH_ROWS, TableCodec, rule_of
from ensample.kinds.records import ABSENT, Writer
from ensample.kinds.sequence import Sequence
from ensample.kinds.sequences import Sequences

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset


class SequenceCodec:
    """Records of a schema whose one learned field holds sequences, as padded cells and back.

    Takes the place of `TableCodec` where a field is a `Sequence`; other modelled fields may be there if nothing of them
    is learned (constants, identifiers).

    Arguments:
        schema: all fields.
        model: names of the fields that are learned: one sequence, and fields without spans.
        given: names of the fields that are given, plain ones.

    Attributes:
        event: what one record looks like to a family, a `Ragged`.
        given_event: the same for the given fields, None if there are none.
    """

    def __init__(self, schema: Schema, model: tuple[str, ...], given: tuple[str, ...] = ()) -> None:
        self.schema, self.model, self.given = schema, tuple(model), tuple(given)
        self.field = next(name for name in model if isinstance(schema[name].kind, Sequence))
        self.kind = cast(Sequence, schema[self.field].kind)
        self._beside = TableCodec(schema, tuple(name for name in model if name != self.field), self.given)
        self.event = self.kind.event
        self.given_event = self._beside.given_event

    def columns_of(self, field: str) -> range:
        """Numbers of the spans of a plain field; raises InputError for the sequence, which has none of its own."""
        if field == self.field:
            self.kind.limits(rule_of(None, field), field)
        return self._beside.columns_of(field)

    def encode(self, dataset: Dataset, holes: bool = False) -> Sequences:
        """All records as cells of their steps; see `TableCodec.encode`.

        With `holes`, what is missing inside a step is to be filled, and so are records that are missing as a whole.

        Raises:
            InputError: the field is not there, or a value cannot be one of its field.
        """
        self._check_there(dataset)
        given = self._beside.encode(dataset)
        lengths = np.concatenate(
            [self.kind.lengths(batch.column(self.field)) for batch in dataset.batches(BATCH_ROWS, [self.field])]
            or [np.zeros(0, np.int64)]
        )
        table = Writer(int(lengths.clip(min=0).sum()), len(self.event.element))
        for start, batch in zip(
            range(0, len(lengths), BATCH_ROWS), dataset.batches(BATCH_ROWS, [self.field]), strict=True
        ):
            table.add(self._cells(batch.column(self.field), holes, start))
        if holes or not self.event.missing:  # a missing record where there never was one is priced by the codec
            lengths = np.where(lengths < 0, UNKNOWN_LENGTH, lengths)
        return Sequences(self.event, table.done(), self.given_event, given.given_table, lengths=lengths)

    def _cells(self, column: pa.Array, holes: bool, start: int) -> np.ndarray:
        try:
            return self.kind.encode_holes(column) if holes else self.kind.encode(column, self.field)
        except InputError as error:
            place, _, row = error.place.rpartition(", row ")
            if not place or not row.isdigit():
                raise
            ends = self.kind.lengths(column).clip(min=0).cumsum()
            record = int(np.searchsorted(ends, int(row), side="right"))
            step = int(row) - (int(ends[record - 1]) if record else 0)
            where = f"column {self.field!r}, row {start + record}, step {step}, {place}"
            raise InputError(error.rule, where, error.seen, error.fix) from None

    def decode(self, batch: Batch, seed: int, first: int = 0) -> Dataset:
        """Padded cells as records, in the schema's order; see `TableCodec.decode`."""
        from ensample.data.dataset import Dataset

        assert batch.lengths is not None
        there, rng = batch.steps(), np.random.default_rng([seed, self.schema.names.index(self.field)])
        table = np.where(batch.mask[there].numpy(), batch.cells[there].numpy(), ABSENT)
        lists = self.kind.lists(table, batch.lengths.numpy(), rng)
        nothing = batch.cells.new_zeros(len(batch), 0)
        beside = self._beside.decode(Batch(nothing, nothing.bool(), batch.cond), seed, first).to_arrow()
        schema = self.schema.select(n for n in self.schema.names if n == self.field or n in beside.column_names)
        fields, columns = [], []
        for field in schema:
            own = field.name == self.field
            columns.append(lists if own else beside.column(field.name))
            plain = pa.field(field.name, lists.type) if own else beside.schema.field(field.name)
            fields.append(marks.mark(plain, field.missing or None, field.wording or None))
        return Dataset.from_arrow(pa.Table.from_arrays(columns, schema=pa.schema(fields)), schema, "sample")

    def log_volume(self, dataset: Dataset) -> np.ndarray:
        """What the codec adds to each record's log-probability: the price of values never seen: float64 [rows]."""
        self._check_there(dataset)
        own = [
            self.kind.log_volume(batch.column(self.field), self.field)
            for batch in dataset.batches(BATCH_ROWS, [self.field])
        ]
        return np.asarray(self._beside.log_volume(dataset) + np.concatenate([np.zeros(0), *own]))

    def limits(self, where: Mapping[str, Any]) -> list[Limit]:
        """Raises InputError: a condition cannot be about a field of sequences."""
        for name, wish in where.items():
            self.columns_of(name)
            self._beside.limits({name: wish})
        return []

    def present(self, fields: Iterable[str]) -> list[Limit]:
        """Limits that keep the fields of every step from being missing."""
        return self.kind.steps.present(self.kind.steps.model) if self.field in fields else []

    def _check_there(self, dataset: Dataset) -> None:
        if self.field not in dataset.names or not is_sequence(dataset.arrow_schema.field(self.field).type):
            raise InputError(
                "The data must have every field of the model.",
                "columns",
                f"no lists {self.field!r} among {', '.join(map(repr, dataset.names))}",
                "name the column of lists as in learning, or make it by Dataset.sequences",
            )


def codec_of(schema: Schema, model: tuple[str, ...], given: tuple[str, ...] = ()) -> TableCodec | SequenceCodec:
    """The codec that these fields need.

    Raises:
        CapabilityError: a sequence stands beside other learned fields, or is given.
    """
    sequences = [name for name in (*model, *given) if isinstance(schema[name].kind, Sequence)]
    if not sequences:
        return TableCodec(schema, model, given)
    others = [name for name in model if name != sequences[0] and schema[name].kind.spans(name)]
    if others or sequences[0] in given:
        raise CapabilityError(
            "A field of sequences is learned alone.",
            f"column {sequences[0]!r}",
            "it is given" if sequences[0] in given else f"also to learn: {', '.join(others)}",
            f'say model=["{sequences[0]}"], or put the other fields into every step',
        )
    return SequenceCodec(schema, model, given)


def completed(original: pa.ChunkedArray, made: pa.ChunkedArray) -> pa.Array:
    """A column of lists with what is missing taken from another, whose known records have the same lengths."""
    lengths, before = lengths_of(made, -1), lengths_of(original, -1)
    kept = np.repeat(before >= 0, lengths.clip(min=0))
    place = np.where(kept, kept.cumsum() - 1, -1)
    at = pa.array(place, mask=~kept)
    old, new = steps_of(original), steps_of(made)
    parts = [
        pc.coalesce(old.column(name).take(at).cast(new.schema.field(name).type), new.column(name))
        for name in new.schema.names
    ]
    return lists_of(parts, lengths, made.type)
