"""What one pass over a column of dialogues tells: its roles, and the texts of its turns."""

from __future__ import annotations

from collections import Counter
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.dialogues import turns_of
from ensample.kinds.arrow import plain
from ensample.kinds.profile import Profile
from ensample.kinds.textprofile import TextProfile


class DialogueProfile(Profile):
    """Facts of a column of dialogues.

    Attributes:
        roles: how many turns each role has.
        texts: profile of the texts of all turns, in order; an empty turn has an empty one.
        turns: of each dialogue that is there, int64 [dialogues].
        characters, bytes: of all texts of each of these dialogues, int64 [dialogues].
    """

    def __init__(self, name: str, dtype: pa.DataType) -> None:
        super().__init__(name, dtype)
        self.roles: Counter[str] = Counter()
        self.texts = TextProfile(name, pa.string())
        self._sizes: list[np.ndarray] = []

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array, name: str = "column") -> Self:
        """The profile of a column in memory."""
        profile = cls(name, column.type)
        profile.add(plain(column))
        profile.finish(pa.nulls(0))
        return profile

    @property
    def sizes(self) -> np.ndarray:
        """Turns, characters and bytes of each dialogue that is there, int64 [dialogues, 3]."""
        return np.concatenate([np.zeros((0, 3), np.int64), *self._sizes])

    def add(self, column: pa.Array) -> None:
        """One more batch. Raises InputError if a turn has no role."""
        turns = turns_of(column, self.name)
        there = column.is_valid().to_numpy(zero_copy_only=False)
        self.rows += len(column)
        self.missing += column.null_count
        for counted in pc.value_counts(turns.roles).to_pylist():
            self.roles[counted["values"]] += counted["counts"]
        self.texts.add(turns.texts)
        of_turns = (np.asarray(pc.utf8_length(turns.texts)), np.asarray(pc.binary_length(turns.texts)))
        starts = turns.starts
        summed = [np.concatenate([[0], sizes.cumsum()])[starts] for sizes in of_turns]
        self._sizes.append(np.stack([turns.counts, *map(np.diff, summed)], 1).astype(np.int64)[there])

    def finish(self, sample: pa.Array) -> None:
        """Nothing is left to do: dialogues are neither counted as values nor sampled as such."""
        self._pending = None
