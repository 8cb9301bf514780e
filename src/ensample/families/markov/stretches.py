"""Long records in stretches: side by side they are computed much sooner than one step after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from ensample.events import Batch

LONG = 4096
"""Records of more steps than this are cut."""

STRETCH = 512
"""Steps of a stretch, but for the last of a record."""


def stretches(lengths: np.ndarray) -> np.ndarray:
    """Lengths of the parts of records of these lengths, one record after the other, int64.

    Example:
        >>> stretches(np.array([7, 4097])).tolist()
        [7, 512, 512, 512, 512, 512, 512, 512, 512, 1]
    """
    counts = np.where(lengths > LONG, -(-lengths // STRETCH), 1)
    first = np.repeat(counts.cumsum() - counts, counts)
    left = np.repeat(lengths, counts) - STRETCH * (np.arange(len(first)) - first)
    return np.asarray(np.where(np.repeat(lengths > LONG, counts), left.clip(max=STRETCH), left))


def cut(batch: Batch) -> Iterator[Batch]:
    """The records of a batch that are not long, and the stretches of those that are."""
    assert batch.lengths is not None
    long = batch.lengths > LONG
    yield batch.take((~long).nonzero()[:, 0]) if bool(long.any()) else batch
    if not bool(long.any()):
        return
    rows = batch.take(long.nonzero()[:, 0])
    assert rows.lengths is not None
    spans, more = rows.cells.shape[2], -rows.cells.shape[1] % STRETCH
    cells, mask = (functional.pad(part, (0, 0, 0, more)).view(-1, STRETCH, spans) for part in (rows.cells, rows.mask))
    left = rows.lengths[:, None] - STRETCH * torch.arange(len(cells) // len(rows))
    lengths = left.clamp(0, STRETCH).view(-1)
    there = (lengths > 0).nonzero()[:, 0]
    yield Batch(cells[there], mask[there], lengths=lengths[there])
