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
    most W / 4 steps, each in a window around it, all at once: what lies between them tells the windows apart. Then come
    the longer ones, of each series in their order, and what was filled before counts as known. One that leaves no room
    in a window for a step on both sides is filled from its beginning, up to three quarters of a window at a time.

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
        """All other gaps, of each series in their order."""
        place, steps = torch.arange(self.width), torch.arange(self.gaps.shape[1])
        while bool(self.gaps.any()):
            rows = self.gaps.any(1).nonzero()[:, 0]
            gaps, lengths = self.gaps[rows], self.lengths[rows]
            begin = gaps.int().argmax(1)
            behind = ~gaps & (steps >= begin[:, None])
            end = torch.where(behind.any(1), behind.int().argmax(1), gaps.shape[1])
            fits = end - begin <= self.width - 2  # with a step on both sides
            first = torch.where(fits, (begin + end - self.width) // 2, begin - self.width // 2).clamp(min=0)
            last = (lengths - self.width).clamp(min=0)
            first = torch.minimum(first, last)
            keep = torch.where(fits | (first == last), self.width, self.width - self.width // 4)
            at = first[:, None] + place
            self._fill(rows, first, (at >= begin[:, None]) & (at < end[:, None]) & (place < keep[:, None]))

    def _fill(self, rows: Tensor, first: Tensor, wanted: Tensor) -> None:
        """Fill windows, of which the steps in `wanted` [windows, width] are kept."""
        window = replace(windowed(self.series, rows, first, self.width), cond=self.given(rows, first))
        made = self.fill(window)
        which, step = wanted.nonzero(as_tuple=True)
        at = rows[which], first[which] + step
        self.series.cells[at], self.series.mask[at] = made.cells[which, step], made.mask[which, step]
        self.gaps[at] = False
