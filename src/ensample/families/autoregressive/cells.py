"""Cells of several columns at once as what a network takes: bins and standardised values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ensample.events import Continuous, Span
from ensample.families.bins import Bins

FAR = 8.0
"""Largest standardised value that a network is shown."""


class Reader:
    """Bins and values of the cells of some spans, all spans in one go.

    Example:
        >>> from ensample.events import Discrete
        >>> spans = (Span("a", Discrete(3)),)
        >>> reader = Reader(spans, (Bins(torch.arange(3), torch.arange(3)),))
        >>> reader.index(torch.tensor([[2], [0]])).tolist()
        [[2], [0]]
    """

    def __init__(self, spans: Sequence[Span], bins: Sequence[Bins]) -> None:
        most = max((len(b) for b in bins), default=1)
        end = torch.iinfo(torch.int64).max // 4
        self.first = torch.full((len(bins), most), end)
        self.last = torch.full((len(bins), most), end)
        for j, b in enumerate(bins):
            self.first[j, : len(b)], self.last[j, : len(b)] = b.first, b.last
        self.lattices = [(j, s.event.lattice) for j, s in enumerate(spans) if isinstance(s.event, Continuous)]
        self.middles = [
            s.event.lattice.encode(b.middle()).to(torch.float32) if isinstance(s.event, Continuous) else len(b)
            for s, b in zip(spans, bins, strict=True)
        ]
        """Standardised middles of each number's bins; the number of bins of the others."""

    def index(self, cells: Tensor) -> Tensor:
        """Bins [rows, spans] int64 of cells [rows, spans]; the nearest bin for a cell in none (as `Bins.index`)."""
        if not len(self.first):
            return cells
        cells = cells.t().contiguous()
        left = (torch.searchsorted(self.first, cells, right=True) - 1).clamp(min=0)
        right = (left + 1).clamp(max=self.first.shape[1] - 1)
        after, before = cells - self.last.gather(1, left), self.first.gather(1, right) - cells
        return torch.where(before < after, right, left).t().contiguous()

    def values(self, cells: Tensor) -> Tensor:
        """Standardised numbers [rows, spans] float32, 0 for classes."""
        out = torch.zeros(cells.shape)
        for j, lattice in self.lattices:
            out[:, j] = lattice.encode(cells[:, j]).clamp(-FAR, FAR)
        return out
