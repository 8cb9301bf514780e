"""Holes: fill what is unknown in each record, given what is known in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import Batch, Continuous, Limit, Mixed, Ragged
from ensample.families.abilities import AsRows, DrawsInOrder, Expects, Lengthens
from ensample.families.base import Distribution
from ensample.infer.condition import propose
from ensample.infer.proposal import completing

PARTICLES = 64
"""Proposals a row of the weighted route (sampling importance resampling)."""

ROWS_AT_ONCE = 65_536
"""Most proposals in memory at a time."""

ROUNDS = 20
"""Rounds of exact rejection before a row falls back to the weighted route."""

AVERAGED = 50
"""Draws behind a mean or a mode where the family has none in closed form."""

FREQUENT = 0.1
"""Least share of the draws at which the most frequent cell of a number is its mode."""


def fill(
    distribution: Distribution,
    batch: Batch,
    limits: Sequence[Limit],
    generator: Generator,
    numbers: Tensor | None = None,
) -> Batch:
    """One completed record for each row; known coordinates unchanged. See `Draws.draw` for limits.

    Where draws see all evidence, rejection by what the limits weigh makes them exact; elsewhere (a fixed-order chain
    with evidence after the hole, see `DrawsInOrder`) each row takes one of `PARTICLES` weighted proposals (Rubin 1987).
    `numbers` [rows] name the rows in an error, from 0 if they are left out. A record of unknown length is given one
    first.

    Raises:
        InputError: some rows cannot be completed by this family at all (it says which).
    """
    if isinstance(distribution, AsRows):
        row, within = distribution.rows(batch), distribution.row_limits(limits)
        return distribution.arrays_of(fill(completing(distribution.row), row, within, generator, numbers))
    batch = _lengthened(distribution, batch, generator)
    numbers = torch.arange(len(batch)) if numbers is None else numbers
    exact, cells, mask = _sees_all(distribution, batch), batch.cells.clone(), batch.mask.clone()
    for rows, route, most in (
        (exact.nonzero()[:, 0], _by_rejection, ROWS_AT_ONCE),
        ((~exact).nonzero()[:, 0], _resampled, ROWS_AT_ONCE // PARTICLES),
    ):
        for here in torch.split(rows, max(1, most // _steps(batch))) if len(rows) else ():
            made = route(distribution, batch.take(here), limits, generator, numbers[here])
            cells[here], mask[here] = made.cells, made.mask
    return replace(batch, cells=cells, mask=mask)


def _sees_all(distribution: Distribution, batch: Batch) -> Tensor:
    """Whether a draw sees all that is known of each row, bool [rows]."""
    if not distribution.sees_evidence and isinstance(distribution, DrawsInOrder):
        return distribution.sees_all(batch)
    return torch.full((len(batch),), distribution.sees_evidence)


def _lengthened(distribution: Distribution, batch: Batch, generator: Generator) -> Batch:
    return distribution.lengthened(batch, generator) if isinstance(distribution, Lengthens) else batch


def _steps(batch: Batch) -> int:
    """Steps of the longest record of a ragged batch, pixels of a picture; a record of a table is one step."""
    return max(1, math.prod(batch.cells.shape[1:-1])) if batch.lengths is None else max(1, batch.cells.shape[1])


def _by_rejection(
    distribution: Distribution, batch: Batch, limits: Sequence[Limit], generator: Generator, numbers: Tensor
) -> Batch:
    cells, mask = batch.cells.clone(), batch.mask.clone()
    pending = torch.arange(len(batch))
    for _ in range(ROUNDS):
        made, weight = propose(distribution, batch.take(pending), limits, generator)
        accepted = torch.rand(len(pending), generator=generator, dtype=torch.float64) < torch.exp(weight)
        cells[pending[accepted]], mask[pending[accepted]] = made.cells[accepted], made.mask[accepted]
        pending = pending[~accepted]
        if not len(pending):
            return replace(batch, cells=cells, mask=mask)
    for start in range(0, len(pending), ROWS_AT_ONCE // PARTICLES):
        rows = pending[start : start + ROWS_AT_ONCE // PARTICLES]
        late = _resampled(distribution, batch.take(rows), limits, generator, numbers[rows])
        cells[rows], mask[rows] = late.cells, late.mask
    return replace(batch, cells=cells, mask=mask)


def _resampled(
    distribution: Distribution,
    batch: Batch,
    limits: Sequence[Limit],
    generator: Generator,
    numbers: Tensor,
    times: int = 1,
) -> Batch:
    """Proposals in proportion to their weights: `times` of `PARTICLES` a row, four times as many if that is several."""
    particles = PARTICLES if times == 1 else 4 * PARTICLES
    made, weight = propose(distribution, batch.repeat(particles), limits, generator)
    weight = weight.reshape(len(batch), particles)
    impossible = torch.unique(numbers[torch.isinf(weight).all(1)])
    if len(impossible):
        raise InputError(
            "Every row must be possible under the model.",
            f"row {int(impossible[0])} and {len(impossible) - 1} others",
            "no completion was found that agrees with what is known",
            "check these values, or use a family with exact conditionals",
        )
    chosen = torch.multinomial(torch.softmax(weight, 1), times, replacement=True, generator=generator)
    filled = made.take((torch.arange(len(batch))[:, None] * particles + chosen).flatten())
    return replace(batch.repeat(times), cells=filled.cells, mask=filled.mask)


def centre(distribution: Distribution, batch: Batch, limits: Sequence[Limit], generator: Generator, how: str) -> Batch:
    """The conditional mean ("mean") or most frequent value ("mode") of every hole; classes always take the mode."""
    if isinstance(distribution, AsRows):
        row, within = distribution.rows(batch), distribution.row_limits(limits)
        return distribution.arrays_of(centre(completing(distribution.row), row, within, generator, how))
    batch = _lengthened(distribution, batch, generator)
    if isinstance(distribution, Expects) and how == "mean":
        values, mask = distribution.expect(batch, limits)
    else:
        values, mask = _from_draws(distribution, batch, limits, generator, how)
    cells = torch.where(batch.mask, batch.cells, torch.round(values).to(torch.int64))
    return replace(batch, cells=torch.where(mask, cells, 0), mask=mask)


def _from_draws(
    distribution: Distribution, batch: Batch, limits: Sequence[Limit], generator: Generator, how: str
) -> tuple[Tensor, Tensor]:
    values = torch.zeros(batch.cells.shape, dtype=torch.float64)
    mask = torch.zeros_like(batch.mask)
    event: Mixed | Ragged = distribution.event
    event = event.element if isinstance(event, Ragged) else event
    step = max(1, ROWS_AT_ONCE // (4 * PARTICLES * _steps(batch)))
    for start in range(0, len(batch), step):
        piece = batch.take(slice(start, start + step))
        numbers = torch.arange(start, start + len(piece))
        if distribution.sees_evidence:
            drawn = fill(distribution, piece.repeat(AVERAGED), limits, generator, numbers.repeat_interleave(AVERAGED))
        else:  # all from one set of proposals, which cost most
            drawn = _resampled(distribution, piece, limits, generator, numbers, AVERAGED)
        here, shape = slice(start, start + len(piece)), piece.cells.shape
        middle, there = _centred(event, _draws(drawn.cells, len(piece)), _draws(drawn.mask, len(piece)), how)
        values[here], mask[here] = middle.reshape(shape), there.reshape(shape)
    return values, mask


def _draws(drawn: Tensor, rows: int) -> Tensor:
    """`AVERAGED` draws of each row, or of each step of ragged rows, side by side: [rows or steps, draws, spans]."""
    steps = drawn.shape[1] if drawn.ndim == 3 else 1
    return drawn.reshape(rows, AVERAGED, steps, drawn.shape[-1]).transpose(1, 2).flatten(0, 1).contiguous()


def _centred(event: Mixed, cells: Tensor, known: Tensor, how: str) -> tuple[Tensor, Tensor]:
    """(mean or mode [rows, spans] float64, whether it exists) of draws [rows, draws, spans]."""
    values = torch.zeros(len(cells), len(event), dtype=torch.float64)
    for j, span in enumerate(event.spans):
        number = isinstance(span.event, Continuous)
        take = (_mean if how == "mean" else _densest) if number else _mode
        values[:, j] = take(cells[..., j], known[..., j])
    return values, _majority_exists(event, cells, known)


def _majority_exists(event: Mixed, cells: Tensor, known: Tensor) -> Tensor:
    """Spans that exist under the most frequent state of the span they depend on. Bool [rows, spans]."""
    modes = torch.zeros(len(cells), cells.shape[2], dtype=torch.int64)
    for j in {span.exists[0] for span in event.spans if span.exists is not None}:
        modes[:, j] = _mode(cells[..., j], known[..., j]).to(torch.int64)
    exists = [event.existing(modes, j) & known[..., j].any(1) for j in range(cells.shape[2])]
    return torch.stack(exists, 1) if exists else known.any(1)


def _mean(cells: Tensor, known: Tensor) -> Tensor:
    return (cells * known).sum(1).to(torch.float64) / known.sum(1).clamp(min=1)


def _mode(cells: Tensor, known: Tensor) -> Tensor:
    """The most frequent known cell of each row, 0 where none is known; [rows] float64."""
    return _most_frequent(_sorted(cells, known), known)[0].to(torch.float64)


def _densest(cells: Tensor, known: Tensor) -> Tensor:
    """Where the known cells of each row crowd, 0 where none is known; [rows] float64.

    The most frequent cell, if it is at least `FREQUENT` of the draws. Else the half-sample mode (Robertson and Cryer
    1974), since counting draws that nearly all differ says nothing: the half that lies closest together is halved
    again, down to two draws or one.
    """
    values = _sorted(cells, known)
    low, size = torch.zeros(len(cells), dtype=torch.int64), known.sum(1)
    place = torch.arange(cells.shape[1])
    while bool((size > 2).any()):
        half = torch.where(size > 2, (size + 1) // 2, size)
        end = (place + half[:, None] - 1).clamp(0, cells.shape[1] - 1)
        width = (values.gather(1, end) - values).to(torch.float64)
        inside = (place >= low[:, None]) & (place + half[:, None] <= (low + size)[:, None])
        low = torch.where(size > 2, torch.where(inside, width, torch.inf).argmin(1), low)
        size = half
    ends = torch.stack([low, low + (size - 1).clamp(min=0)], 1)
    crowd = torch.where(known.any(1), values.gather(1, ends).to(torch.float64).mean(1), 0.0)
    cell, count = _most_frequent(values, known)
    return torch.where(count >= FREQUENT * known.sum(1), cell.to(torch.float64), crowd)


def _sorted(cells: Tensor, known: Tensor) -> Tensor:
    """Known cells of each row, ascending, and behind them the unknown ones as a number beyond all cells."""
    return torch.where(known, cells, torch.iinfo(torch.int64).max // 4).sort(1).values


def _most_frequent(values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """(the most frequent cell, how often it is there) of each row of sorted cells; 0 where nothing is known."""
    count = torch.searchsorted(values, values, right=True) - torch.searchsorted(values, values)
    count = torch.where(torch.arange(values.shape[1]) < known.sum(1, keepdim=True), count, 0)
    most = count.max(1)
    return torch.where(known.any(1), values.gather(1, most.indices[:, None])[:, 0], 0), most.values
