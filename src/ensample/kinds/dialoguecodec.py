"""The codec of records that are dialogues: one field of turns, given fields beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ensample.data.dialogues import is_dialogue
from ensample.errors import InputError
from ensample.events import UNKNOWN_LENGTH, Batch, Ragged
from ensample.kinds.alone import AloneCodec
from ensample.kinds.codec import BATCH_ROWS
from ensample.kinds.dialogue import Dialogue
from ensample.kinds.records import Writer
from ensample.kinds.sequences import Sequences

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset


class DialogueCodec(AloneCodec[Dialogue]):
    """Records of a schema whose one learned field holds dialogues, as padded classes and back; see `AloneCodec`.

    Attributes:
        event: what one record looks like to a family, a `Ragged` of one span of classes; `partly` given where replies
            alone are learned.
    """

    sort = Dialogue
    sequential = True
    event: Ragged

    def encode(self, dataset: Dataset, holes: bool = False) -> Sequences:
        """All records as marks of roles and classes of tokens; see `TableCodec.encode`.

        With `holes`, missing dialogues are to be filled.

        Raises:
            InputError: the field is not there, holds no dialogues, or one with a role that was not met in learning.
        """
        self._check_there(dataset)
        given = self.given_of(dataset)
        table = Writer(self._most(dataset), 1)
        lengths, scored, done = [np.zeros(0, np.int64)], [np.zeros(0, bool)], 0
        for batch in dataset.batches(BATCH_ROWS, [self.field]):
            steps, each, counts = self.kind.streams(batch.column(self.field), self.field, done)
            table.add(steps[:, None])
            done += len(batch)
            lengths.append(each)
            scored.append(counts)
        whole = np.concatenate(lengths)
        if holes or not self.event.missing:  # a missing dialogue where there never was one is priced by the codec
            whole = np.where(whole < 0, UNKNOWN_LENGTH, whole)
        flags = np.concatenate(scored) if self.event.partly else None
        return Sequences(self.event, table.done(), self.given_event, **given, lengths=whole, scored=flags)

    def values(self, batch: Batch, rng: np.random.Generator) -> pa.Array:
        """Dialogues from padded classes."""
        assert batch.lengths is not None
        return self.kind.values(batch.cells[..., 0][batch.steps()].numpy(), batch.lengths.numpy())

    def _most(self, dataset: Dataset) -> int:
        """How many steps there may be."""
        total = done = 0
        for batch in dataset.batches(BATCH_ROWS, [self.field]):
            total += self.kind.most_steps(batch.column(self.field), self.field, done)
            done += len(batch)
        return total

    def _check_there(self, dataset: Dataset) -> None:
        there = self.field in dataset.names
        if not there or not is_dialogue(dataset.arrow_schema.field(self.field).type):
            raise InputError(
                "The data must have every field of the model.",
                "columns",
                f"no dialogues {self.field!r} among {', '.join(map(repr, dataset.names))}",
                'name the column of turns as in learning; each is {"role": ..., "content": ...}',
            )
