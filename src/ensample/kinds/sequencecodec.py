"""The codec of records that are sequences: one field of lists, given fields beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.nested import is_sequence, lengths_of, lists_of, steps_of
from ensample.data.series import Plan, again
from ensample.errors import InputError
from ensample.events import UNKNOWN_LENGTH, Batch, Limit, Ragged
from ensample.kinds.alone import AloneCodec
from ensample.kinds.codec import BATCH_ROWS
from ensample.kinds.records import ABSENT, Writer
from ensample.kinds.sequence import Sequence
from ensample.kinds.sequences import Sequences
from ensample.kinds.series import Series

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset


class SequenceCodec(AloneCodec[Sequence]):
    """Records of a schema whose one learned field holds sequences, as padded cells and back; see `AloneCodec`.

    Attributes:
        event: what one record looks like to a family, a `Ragged`.
    """

    sort = Sequence
    sequential = True
    event: Ragged

    @property
    def told(self) -> str | None:  # type: ignore[override]  # of this codec
        """That of series; lists tell of themselves."""
        return self.kind.name if isinstance(self.kind, Series) else None

    @property
    def plan(self) -> Plan | None:
        """How records are cut from a table, None if that is not known."""
        return self.kind.planned if isinstance(self.kind, Series) else None

    @property
    def near(self) -> int:
        """How many records before and behind a record share steps with it."""
        plan = self.plan
        return 0 if plan is None or plan.window is None else -(-plan.window // plan.stride) - 1

    def is_table(self, dataset: Dataset) -> bool:
        """Whether these are no records, but a table of the form that records were cut from."""
        plan = self.plan
        return plan is not None and self.field not in dataset.names and plan.needs <= set(dataset.names)

    def records_of(self, dataset: Dataset) -> Dataset:
        """A table of the form that was learned from, cut into records; records stay as they are."""
        from ensample.data.dataset import Dataset as Records

        plan = self.plan
        if plan is None or not self.is_table(dataset):
            return dataset
        return Records.from_arrow(again(dataset, plan), None, dataset.source)

    def encode(self, dataset: Dataset, holes: bool = False) -> Sequences:
        """All records as cells of their steps; see `TableCodec.encode`.

        With `holes`, what is missing inside a step is to be filled, and so are records that are missing as a whole.

        Raises:
            InputError: the field is not there, or a value cannot be one of its field.
        """
        self._check_there(dataset)
        given = self.given_of(dataset)
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
        return Sequences(self.event, table.done(), self.given_event, **given, lengths=lengths, near=self.near)

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

    def values(self, batch: Batch, rng: np.random.Generator) -> pa.Array:
        """Lists from padded cells."""
        assert batch.lengths is not None
        there = batch.steps()
        table = np.where(batch.mask[there].numpy(), batch.cells[there].numpy(), ABSENT)
        return self.kind.lists(table, batch.lengths.numpy(), rng)

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
