"""A data set encoded once: integer cells and their mask, in memory or memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ensample.events import Batch, Mixed

ABSENT = np.iinfo(np.int64).min
"""The stored cell of a coordinate that is missing or does not exist."""


@dataclass(frozen=True)
class Records:
    """Encoded rows: `table` [rows, spans] int64 holds cells, `ABSENT` where the mask is unset.

    `table` may be a memory map: only the rows asked for are read. `given_table` holds the given fields in the same way.
    """

    event: Mixed
    table: np.ndarray
    given: Mixed | None = None
    given_table: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, rows: slice | np.ndarray = slice(None)) -> Batch:
        """These rows as a batch of tensors (a copy)."""
        cond = None if self.given_table is None else _batch(self.given_table[rows])
        return _batch(self.table[rows], cond)

    def batches(self, size: int = 65_536) -> Iterator[Batch]:
        """All rows, in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))

    def select(self, rows: np.ndarray | slice) -> Records:
        """The records of these rows, held in memory."""
        given = None if self.given_table is None else self.given_table[rows]
        return Records(self.event, self.table[rows], self.given, given)

    def sample(self, count: int, seed: int) -> Records:
        """At most `count` rows drawn without repetition, in their order; a pure function of the seed."""
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self.select(np.sort(chosen))

    def split(self, share: float, seed: int) -> tuple[Records, Records]:
        """(learn, validate): a random `share` of the rows is set apart to stop early on."""
        held = np.random.default_rng(seed).random(len(self)) < share
        if len(self) > 1:
            held[0], held[-1] = False, True
        return self.select(np.flatnonzero(~held)), self.select(np.flatnonzero(held))


def _batch(table: np.ndarray, cond: Batch | None = None) -> Batch:
    cells = torch.from_numpy(np.array(table, dtype=np.int64))
    mask = cells != int(ABSENT)
    return Batch(torch.where(mask, cells, 0), mask, cond)
