"""Gaps in long series, filled by a distribution over windows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ensample.events import Batch, Ragged
from ensample.families.base import Distribution
from ensample.infer.forecast import Given, windowed

Fill = Callable[[Batch], Batch]
"""Completes records, as `infer.impute.fill` and `centre` do."""


def closed(distribution: Distribution, series: Batch, gaps: Tensor, fill: Fill, given: Given) -> Batch:
    """The series with their gaps filled; what is known stays.

    A family over series of any length fills each as a whole. One over windows of W steps goes from window to window, in
    halves of W, and keeps what it fills in the first three quarters of each: so every gap is seen from both sides,
    and what was filled before it counts as known.

    Arguments:
        distribution: over series or windows of them.
        series: whole series with holes, padded; `lengths` are known.
        gaps: the steps that have a hole, bool [rows, steps].
        fill: what completes records.
        given: the given fields of windows that begin at these steps.
    """
    event, lengths = distribution.event, series.lengths
    assert isinstance(event, Ragged) and lengths is not None
    if not event.fixed:
        whole = Batch(series.cells, series.mask, given(torch.zeros_like(lengths)), lengths=lengths)
        return fill(whole)
    cells, mask, gaps = series.cells.clone(), series.mask.clone(), gaps.clone()
    width, place = event.max_length, torch.arange(event.max_length)
    for start in range(0, max(1, cells.shape[1]), max(1, width // 2)):
        last = (lengths - width).clamp(min=0)
        first = torch.minimum(torch.full_like(lengths, start), last)
        reach = torch.where(first == last, width, width - width // 4)
        at = (first[:, None] + place).clamp(max=max(0, cells.shape[1] - 1))
        here = (first[:, None] + place < lengths[:, None]) & (place < reach[:, None])
        open_ = here & gaps.gather(1, at)
        rows = open_.any(1).nonzero()[:, 0]
        if not len(rows):
            continue
        window = windowed(cells[rows], mask[rows], first[rows], lengths[rows], width)
        cond = given(first)
        made = fill(Batch(window.cells, window.mask, None if cond is None else cond.take(rows), lengths=window.lengths))
        row, step = open_[rows].nonzero(as_tuple=True)
        target = rows[row], at[rows][row, step]
        cells[target], mask[target], gaps[target] = made.cells[row, step], made.mask[row, step], False
    return Batch(cells, mask, lengths=lengths)
