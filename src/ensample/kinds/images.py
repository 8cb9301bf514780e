"""Pictures encoded once: an array of levels a record, in memory or memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ensample.events import Array, Batch
from ensample.kinds.records import Records


@dataclass(frozen=True)
class Images(Records):
    """Encoded pictures: `table` [rows, *event.shape] of an unsigned type holds levels; given fields as of `Records`.

    Example:
        >>> from ensample.events import Continuous, Lattice
        >>> dots = Images(Continuous(Lattice(0, 1), (1, 1, 2)), np.array([[[[0, 1]]], [[[1, 1]]]], np.uint8))
        >>> dots.batch(slice(1, 2)).cells.tolist()
        [[[[1, 1]]]]
    """

    event: Array  # type: ignore[assignment]  # only families that learn arrays are given these

    def batch(self, rows: slice | np.ndarray = slice(None)) -> Batch:
        """These pictures as a batch of tensors (a copy), all of them known."""
        cells = torch.from_numpy(np.asarray(self.table[rows])).to(torch.int64)
        mask = torch.ones((), dtype=torch.bool).expand(cells.shape)
        return Batch(cells, mask, self.given_batch(rows))

    def select(self, rows: np.ndarray | slice) -> Images:
        """The pictures of these rows, held in memory."""
        return replace(self, table=self.table[rows], **self.given_of(rows))
