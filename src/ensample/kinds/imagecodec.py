"""The codec of records that are pictures: one field of pictures, given fields beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ensample.data.pictures.buffer import room
from ensample.errors import InputError
from ensample.events import Array, Batch, coordinates
from ensample.kinds.alone import AloneCodec
from ensample.kinds.image import Image
from ensample.kinds.images import Images

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

BATCH_CELLS = 2**24
"""Cells that are encoded at a time."""


class ImageCodec(AloneCodec[Image]):
    """Records of a schema whose one learned field holds pictures, as arrays of levels and back; see `AloneCodec`.

    Attributes:
        event: what one record looks like to a family: `Continuous` with a shape (channels, height, width).
    """

    sort = Image
    event: Array

    def encode(self, dataset: Dataset, holes: bool = False) -> Images:
        """All records as levels; see `TableCodec.encode`.

        Pictures have no missing parts, so `holes` changes nothing.

        Raises:
            InputError: the field is not there, a picture is missing, of another size, or has a value off its levels.
        """
        self._check_there(dataset)
        given = self.beside.encode(dataset)
        table = room((len(dataset), *self.event.shape))
        rows, done = max(1, BATCH_CELLS // coordinates(self.event)), 0
        for batch in dataset.batches(rows, [self.field]):
            table[done : done + len(batch)] = self._levels(batch.column(self.field), done)
            done += len(batch)
        return Images(self.event, table, self.given_event, given.given_table)

    def values(self, batch: Batch, rng: np.random.Generator) -> pa.Array:
        """Pictures from levels."""
        return self.kind.column_of(batch.cells.numpy().astype(np.uint8))

    def _levels(self, column: pa.Array, done: int) -> np.ndarray:
        try:
            return self.kind.levels_of(column, self.field)
        except InputError as error:
            place, _, row = error.place.rpartition(", row ")
            if not place or not row.isdigit():
                raise
            raise InputError(error.rule, f"{place}, row {int(row) + done}", error.seen, error.fix) from None

    def _check_there(self, dataset: Dataset) -> None:
        if self.field not in dataset.names:
            raise InputError(
                "The data must have every field of the model.",
                "columns",
                f"no {self.field!r} among {', '.join(map(repr, dataset.names))}",
                "name the column of pictures as in learning",
            )
