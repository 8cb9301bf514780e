"""Gaps in long series, filled by a distribution over windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ensample.events import Batch, Ragged
from ensample.families.base import Distribution
from ensample.infer.forecast import Given, windowed

Fill = Callable[[Batch], Batch]
"""Completes records, as `infer.impute.fill` and `centre` do."""


def closed(distribution: Distribution, series: Batch, gaps: Tensor, fill: Fill, given: Given) -> Batch:
    """The series with their gaps filled; what is known stays.

    A family over series of any length fills each as a whole. One over windows of W steps first fills the gaps of at
    most W / 4 steps, each in a window around it, all at once: what lies between them tells the windows apart. Then it
    goes along the longer ones from window to window, in halves of W, and keeps what it fills in the first three
    quarters of each: so they are seen from both sides, and what was filled before counts as known.

    Arguments:
        distribution: over series or windows of them.
        series: whole series with holes, padded; `lengths` are known.
        gaps: the steps that have a hole, bool [rows, steps].
        fill: what completes records.
        given: the given fields of windows of the series.
    """
    event, lengths = distribution.event, series.lengths
    assert isinstance(event, Ragged) and lengths is not None
    if not event.fixed:
        every = torch.arange(len(series))
        return fill(replace(series, cond=given(every, torch.zeros_like(every))))
    filler = _Filler(series, gaps, event.max_length, fill, given)
    filler.short_ones()
    filler.long_ones()
    return filler.series


class _Filler:
    """Series on the way to being whole: what was filled is known from then on."""

    def __init__(self, series: Batch, gaps: Tensor, width: int, fill: Fill, given: Given) -> None:
        assert series.lengths is not None
        self.series = replace(series, cells=series.cells.clone(), mask=series.mask.clone())
        self.lengths, self.gaps, self.width = series.lengths, gaps.clone(), width
        self.fill, self.given = fill, given
        self.half = max(1, width // 2)

    def short_ones(self) -> None:
        """Gaps that are short against a window, each in the window whose middle is nearest."""
        padded = torch.nn.functional.pad(self.gaps.int(), (1, 1))
        change = padded.diff(dim=1)
        row, begin = (change == 1).nonzero(as_tuple=True)
        end = (change == -1).nonzero(as_tuple=True)[1]
        short = end - begin <= max(1, self.width // 4)
        row, begin, end = row[short], begin[short], end[short]
        if not len(row):
            return
        first = torch.div(begin + end - self.width + self.half, 2 * self.half, rounding_mode="floor") * self.half
        first = torch.minimum(first.clamp(min=0), (self.lengths[row] - self.width).clamp(min=0))
        windows, which = torch.unique(torch.stack([row, first], 1), dim=0, return_inverse=True)
        place = windows[:, 1, None] + torch.arange(self.width)
        wanted = torch.zeros(len(windows), self.width, dtype=torch.bool)
        for length in range(1, max(1, self.width // 4) + 1):  # all gaps of a length at once
            own = end - begin == length
            steps = begin[own, None] - windows[which[own], 1, None] + torch.arange(length)
            wanted[which[own, None], steps] = True
        self._fill(windows[:, 0], windows[:, 1], wanted & (place < self.lengths[windows[:, 0], None]))

    def long_ones(self) -> None:
        """All other gaps, from the beginning of the series to their ends."""
        place, every = torch.arange(self.width), torch.arange(len(self.series))
        last = (self.lengths - self.width).clamp(min=0)
        for start in range(0, max(1, self.gaps.shape[1]), self.half):
            first = torch.minimum(torch.full_like(last, start), last)
            reach = torch.where(first == last, self.width, self.width - self.width // 4)
            at = (first[:, None] + place).clamp(max=max(0, self.gaps.shape[1] - 1))
            inside = (first[:, None] + place < self.lengths[:, None]) & (place < reach[:, None])
            wanted = inside & self.gaps[every[:, None], at]
            rows = wanted.any(1).nonzero()[:, 0]
            if len(rows):
                self._fill(rows, first[rows], wanted[rows])

    def _fill(self, rows: Tensor, first: Tensor, wanted: Tensor) -> None:
        """Fill windows, of which the steps in `wanted` [windows, width] are kept."""
        window = replace(windowed(self.series, rows, first, self.width), cond=self.given(rows, first))
        made = self.fill(window)
        which, step = wanted.nonzero(as_tuple=True)
        at = rows[which], first[which] + step
        self.series.cells[at], self.series.mask[at] = made.cells[which, step], made.mask[which, step]
        self.gaps[at] = False
