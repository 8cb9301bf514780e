"""What each row of a column's training may look at, so that the column can be predicted from any set of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ensample.events import Mixed
from ensample.families.orders import Orders

PLAIN, EVIDENCE = 0.3, 0.3
"""Shares of the rows in the standing order, and with a random set looked at first; the rest are permutations."""
CHUNK = 8_192


@dataclass(frozen=True)
class Masks:
    """Random masks of `rows` rows, a pure function of the seed and the column."""

    event: Mixed
    rows: int
    seed: int

    def possible(self, column: int) -> np.ndarray:
        """Spans that may ever be looked at for a column: all but itself and those that depend on it."""
        spans = self.event.spans
        return np.array(
            [i for i, s in enumerate(spans) if i != column and (s.exists is None or s.exists[0] != column)], int
        )

    def hidden(self, column: int, spans: np.ndarray) -> np.ndarray:
        """Which of these spans each row may not look at, bool [rows, spans]; negative numbers stand for given spans."""
        orders = Orders(self.event, tuple(range(len(self.event))), PLAIN, EVIDENCE)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + column)
        out = np.zeros((self.rows, len(spans)), dtype=bool)
        for start in range(0, self.rows, CHUNK):
            size = min(CHUNK, self.rows - start)
            earlier = orders.earlier(size, generator)[:, column].numpy()
            out[start : start + size] = (spans >= 0) & ~earlier[:, np.maximum(spans, 0)]
        return out
