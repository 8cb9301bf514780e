"""Series that go on: what is not there yet is a hole behind what is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit, Ragged
from ensample.families.base import Distribution
from ensample.infer.impute import fill

Given = Callable[[Tensor, Tensor], Batch | None]
"""What is given of windows: of these rows of the series, from these of their steps on; int64 [windows] both."""


def continued(
    distribution: Distribution,
    history: Batch,
    steps: int,
    at_once: int,
    limits: Sequence[Limit],
    generator: Generator,
    given: Given,
) -> Batch:
    """One path of each history: the `steps` steps behind its end, cells and mask [rows, steps, spans].

    A family over series of any length draws them all given the whole history. One over windows of W steps draws
    `at_once` of them given the W - `at_once` steps before, then goes on from there: exact where no more is drawn than
    stands in one window with all of the history that matters.

    Arguments:
        distribution: one that `infer.impute.fill` can complete.
        history: what is known, holes in it are integrated out; `lengths` are known.
        steps: how many steps to draw.
        at_once: how many of them together; less than W.
        limits: of the spans of a step.
        generator: of the draws.
        given: the given fields of windows of the histories.
    """
    event = distribution.event
    assert isinstance(event, Ragged) and history.lengths is not None
    known, every = history.lengths.clamp(min=0), torch.arange(len(history))
    room = history.padded(history.cells.shape[1] + steps)
    if not event.fixed:
        whole = replace(room, lengths=known + steps, cond=given(every, torch.zeros_like(known)))
        return _behind(fill(distribution, whole, limits, generator), known, steps)
    cells, mask, begun = room.cells.clone(), room.mask.clone(), known
    done = 0
    while done < steps:
        count = min(at_once, steps - done)
        first = (known - (event.max_length - count)).clamp(min=0)
        window = windowed(Batch(cells, mask, lengths=known), every, first, event.max_length)
        filled = fill(distribution, replace(window, cond=given(every, first)), limits, generator)
        new = _behind(filled, known - first, count)
        place = known[:, None] + torch.arange(count)
        cells[every[:, None], place], mask[every[:, None], place] = new.cells, new.mask
        known, done = known + count, done + count
    return _behind(Batch(cells, mask), begun, steps)


def windowed(series: Batch, rows: Tensor, first: Tensor, length: int) -> Batch:
    """Steps from `first` on of these rows [windows, length, spans]; those behind the end of a series are open."""
    assert series.lengths is not None
    place = first[:, None] + torch.arange(length)
    there = place < series.lengths[rows, None]
    at = rows[:, None], place.clamp(max=max(0, series.cells.shape[1] - 1))
    known = series.mask[at] & there[:, :, None]
    return Batch(torch.where(known, series.cells[at], 0), known, lengths=torch.full((len(rows),), length))


def _behind(batch: Batch, known: Tensor, steps: int) -> Batch:
    """The `steps` steps behind the first `known` ones of each row."""
    place = known[:, None] + torch.arange(steps)
    rows = torch.arange(len(batch))[:, None]
    return Batch(batch.cells[rows, place], batch.mask[rows, place])
