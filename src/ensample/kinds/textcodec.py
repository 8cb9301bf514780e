"""The codec of records that are texts: one field of texts, given fields beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH, Batch, Ragged
from ensample.kinds.alone import AloneCodec
from ensample.kinds.arrow import is_missing, plain
from ensample.kinds.records import Writer
from ensample.kinds.sequences import Sequences
from ensample.kinds.text import Text, can_be

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset


class TextCodec(AloneCodec[Text]):
    """Records of a schema whose one learned field holds texts, as padded classes and back; see `AloneCodec`.

    Attributes:
        event: what one record looks like to a family, a `Ragged` of one span of classes.
    """

    sort = Text
    told = Text.name
    rows_at_once = None  # as they lie: texts are encoded in blocks of bytes, however many there are
    sequential = True
    event: Ragged

    def encode(self, dataset: Dataset, holes: bool = False) -> Sequences:
        """All records as classes of their tokens; see `TableCodec.encode`.

        With `holes`, missing texts are to be filled.

        Raises:
            InputError: the field is not there, or holds no texts.
        """
        self._check_there(dataset)
        given = self.given_of(dataset)
        table = Writer(self._most(dataset), 1)
        lengths = []
        for batch in dataset.batches(self.rows_at_once, [self.field]):
            column = batch.column(self.field)
            each = np.zeros(len(column), np.int64)
            for tokens, rows, counts in self.kind.blocks(column):
                table.add(tokens[:, None])
                each[rows] += counts
            lengths.append(np.where(is_missing(column), MISSING_LENGTH, each))
        whole = np.concatenate([np.zeros(0, np.int64), *lengths])
        if holes or not self.event.missing:  # a missing text where there never was one is priced by the codec
            whole = np.where(whole < 0, UNKNOWN_LENGTH, whole)
        return Sequences(self.event, table.done(), self.given_event, **given, lengths=whole)

    def values(self, batch: Batch, rng: np.random.Generator) -> pa.Array:
        """Texts from padded classes."""
        assert batch.lengths is not None
        return self.kind.texts(batch.cells[..., 0][batch.steps()].numpy(), batch.lengths.numpy())

    def _most(self, dataset: Dataset) -> int:
        """How many tokens there may be: no more than bytes."""
        total = 0
        for batch in dataset.batches(self.rows_at_once, [self.field]):
            total += pc.sum(pc.binary_length(plain(batch.column(self.field)))).as_py() or 0
        return total

    def _check_there(self, dataset: Dataset) -> None:
        there = self.field in dataset.names
        if not there or not can_be(dataset.arrow_schema.field(self.field).type):
            raise InputError(
                "The data must have every field of the model.",
                "columns",
                f"no texts {self.field!r} among {', '.join(map(repr, dataset.names))}",
                "name the column of texts as in learning",
            )
