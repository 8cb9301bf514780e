"""What learners of one column look at: the other columns as one matrix of numbers, absent where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ensample.events import Continuous, Discrete, Mixed
from ensample.families.chain import Seen
from ensample.kinds.records import ABSENT, Records


@dataclass(frozen=True)
class Inputs:
    """Columns of the matrix: the spans of the given fields first (they are always known), then those of the event."""

    event: Mixed
    given: Mixed | None

    @property
    def offset(self) -> int:
        """Number of given spans: span j of the event is column `offset + j`."""
        return 0 if self.given is None else len(self.given)

    @property
    def classes(self) -> np.ndarray:
        """Classes [columns] int64 of each column, 0 for numbers."""
        spans = (() if self.given is None else self.given.spans) + self.event.spans
        return np.array([s.event.classes if isinstance(s.event, Discrete) else 0 for s in spans], dtype=np.int64)

    @property
    def zeros(self) -> np.ndarray:
        """Cell [columns] float64 of the number 0 in each column; 0 for classes."""
        spans = (() if self.given is None else self.given.spans) + self.event.spans
        return np.array([s.event.lattice.zero if isinstance(s.event, Continuous) else 0.0 for s in spans])

    def training(self, records: Records) -> np.ndarray:
        """All records: cells counted from 0, NaN where absent. [rows, columns] float64."""
        table = records.table
        if records.given_table is not None:
            table = np.concatenate([records.given_table, table], 1)
        out: np.ndarray = np.where(table == ABSENT, np.nan, table) - self.zeros
        return out

    def matrix(self, seen: Seen, columns: np.ndarray) -> np.ndarray:
        """These columns of what is seen, cells counted from 0, NaN where unknown. [rows, columns] float64."""
        out: np.ndarray = np.empty((len(seen.cells), len(columns)))
        for i, j in enumerate((columns - self.offset).tolist()):
            if j >= 0:
                out[:, i] = np.where(seen.known[:, j].numpy(), seen.cells[:, j].numpy(), np.nan)
            else:
                assert seen.cond is not None
                j += self.offset
                out[:, i] = np.where(seen.cond.mask[:, j].numpy(), seen.cond.cells[:, j].numpy(), np.nan)
        out -= self.zeros[columns]
        return out
