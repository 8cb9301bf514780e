"""The log-probability of a record's cell, whatever the family."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit
from ensample.families.abilities import AsRows, Resolves, Scores, WeighsLimits
from ensample.families.base import Distribution
from ensample.families.quadrature import POINTS, lattice_rule

FINE = 0.05
"""Cells up to this many standard deviations wide are seen by their middle: an error of 1e-4 (1 - z^2) nats each."""


def cell_log_prob(distribution: Distribution, batch: Batch) -> Tensor:
    """Log-probability of each record's cell, nats [rows] float64.

    A family that counts cells has it already. A density p of x = encode(k + u) is integrated over u in (-1/2, 1/2) by a
    rank-1 lattice rule (Sloan and Joe, Lattice Methods for Multiple Integration, 1994) that shifts all spans at once:
    log mean_i [ p(encode(k + u_i)) encode'(k + u_i) ]. Its error falls exponentially in the width of the density over
    the width of the cell, and vanishes where cells are fine: there the middle of the cell is enough (`Resolves`).
    """
    if distribution.measure == "cells":
        return cast(Scores, distribution).log_prob(batch).to(torch.float64)
    if isinstance(distribution, AsRows):
        return cell_log_prob(distribution.row, distribution.rows(batch))
    total = torch.empty(len(batch), dtype=torch.float64)
    for rows, points in _by_points(distribution, batch):
        terms = _terms(distribution, batch.take(rows), points)
        total[rows] = torch.logsumexp(terms, 0) - math.log(points)
    return total


def _by_points(distribution: Distribution, batch: Batch) -> Iterator[tuple[Tensor, int]]:
    """(row numbers, points of the rule that they need), every row once."""
    coarse = torch.ones(len(batch), dtype=torch.bool)
    if isinstance(distribution, Resolves):
        coarse = ~(distribution.cell_width(batch) <= FINE)
    for some, points in ((coarse, POINTS), (~coarse, 1)):
        rows = some.nonzero()[:, 0]
        if len(rows):
            yield rows, points


def _terms(distribution: Distribution, batch: Batch, points: int, limits: Sequence[Limit] = ()) -> Tensor:
    """Log density per cell width at each point of the rule, with the chance of the limits there; [points, rows]."""
    terms = []
    for shift in lattice_rule(points, len(distribution.event)):
        located = replace(batch, offset=shift)
        if limits and isinstance(distribution, WeighsLimits):
            density = distribution.log_within(located, limits)
        else:
            density = cast(Scores, distribution).log_prob(located).to(torch.float64)
        terms.append(density + distribution.event.log_slope(batch.cells, batch.mask, shift))
    return torch.stack(terms)


def inside_cells(
    distribution: Distribution, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()
) -> Iterator[tuple[Tensor, Batch]]:
    """Evidence as a density family must see it: (row numbers, rows with an offset), every row once.

    A known number is a whole cell of which a density needs one point. The point is drawn from the model's own
    distribution within the cell, so that what follows is conditioned on the cell and not on its middle. Limits that
    the draw will meet without a weight tell of that point too: where they are likely, it is.
    """
    if distribution.measure == "cells" or not isinstance(distribution, Scores) or not bool(batch.mask.any()):
        yield torch.arange(len(batch)), batch
        return
    for some, points in _by_points(distribution, batch):
        if points == 1:
            yield some, batch.take(some)
            continue
        terms = _terms(distribution, batch.take(some), points, limits)
        point = torch.multinomial(_shares(terms), 1, generator=generator)[:, 0]
        for i, shift in enumerate(lattice_rule(points, len(distribution.event))):
            rows = some[point == i]
            if len(rows):
                yield rows, replace(batch.take(rows), offset=shift)


def _shares(terms: Tensor) -> Tensor:
    """Shares [rows, points] of the points; equal where none is possible."""
    possible = torch.isfinite(terms.amax(0))
    return torch.softmax(torch.where(possible, terms, 0.0).T, 1)
