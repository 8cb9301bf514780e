"""Log-probabilities of a fitted field: the product rule over classes, the probability-flow ODE over numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ensample.events import Batch
from ensample.solvers.density import Divergence, log_density

if TYPE_CHECKING:
    from ensample.families.field.columns import FieldColumns

BLOCK = 512
"""Rows of one pass: always the same, so that a row's result does not depend on its company."""
POINTS = 7
"""Places in a cell over which a density is averaged where cells are wide; a prime with the primitive root 3."""


def log_p_classes(model: FieldColumns, batch: Batch) -> Tensor:
    """Log-probability of the known classes, each given the known ones before it, float64 [rows]."""
    total = torch.zeros(len(batch), dtype=torch.float64)
    for rows, here in _blocks(len(batch), BLOCK):
        part = batch.take(rows)
        seen = model.seen(part)
        nothing = torch.zeros_like(seen.known)
        seen, before = replace(seen, known=nothing, alive=nothing), torch.zeros_like(seen.shown)
        for j in range(len(model.view.classes)):
            log_p = model.log_class(seen.with_classes(seen.codes, before), j)
            told = log_p.gather(1, seen.codes[:, j : j + 1]).squeeze(1) + model.view.log_inside(
                part, j, seen.codes[:, j]
            )
            total[here] += torch.where(seen.shown[:, j], told, 0.0)[: here.stop - here.start]
            before = before.clone()
            before[:, j] = seen.shown[:, j]
    return total


def log_p_numbers(model: FieldColumns, batch: Batch) -> Tensor:
    """Log-probability of the cells of the known numbers given the known classes, float64 [rows]."""
    total = torch.zeros(len(batch), dtype=torch.float64)
    columns = list(model.view.numbers)
    if not columns or not bool(batch.mask[:, columns].any()):
        return total
    shifts = torch.zeros(1, len(model.event), dtype=torch.float64)
    if not model.fine:
        shifts = places(POINTS, len(model.event))
    for rows, here in _blocks(len(batch), BLOCK // len(shifts)):
        part = batch.take(rows).repeat(len(shifts))
        density = _density(model, part, shifts.repeat(len(rows), 1)).reshape(len(rows), -1)
        total[here] = (torch.logsumexp(density, 1) - math.log(len(shifts)))[: here.stop - here.start]
    return total


def _density(model: FieldColumns, batch: Batch, offset: Tensor) -> Tensor:
    """Log-density of the known numbers at places inside their cells, per cell width, float64 [rows]."""
    seen = model.seen(batch, offset)
    x, alive = seen.values, seen.known
    seen = replace(seen, values=torch.zeros_like(x), known=torch.zeros_like(alive), alive=alive)
    grid = model.way.path.grid(model.way.integration).flip(0)
    log_p = log_density(model.field(seen), x, grid, alive, Divergence.of(x.shape[1]))
    for i, j in enumerate(model.view.numbers):
        slope = model.view.scales[i].log_slope(batch.cells[:, j].to(torch.float64) + offset[:, j])
        log_p = log_p + torch.where(alive[:, i], slope, 0.0)
    return log_p


def _blocks(rows: int, size: int) -> Iterator[tuple[Tensor, slice]]:
    """(row numbers of a block, filled up with the last row; the place of those that count)."""
    for start in range(0, rows, size):
        yield torch.arange(start, start + size).clamp(max=rows - 1), slice(start, min(start + size, rows))


def places(points: int, columns: int) -> Tensor:
    """Centred points of a rank-1 lattice rule in (-1/2, 1/2)^columns [points, columns] float64 (Korobov 1959).

    Example:
        >>> places(7, 2).mul(7).round().int().tolist()[:3]
        [[0, 0], [1, 3], [2, -1]]
    """
    directions = torch.tensor([pow(3, j, points) for j in range(columns)], dtype=torch.float64)
    steps = torch.arange(points, dtype=torch.float64)[:, None]
    return torch.remainder(steps * directions / points + 0.5, 1.0) - 0.5
