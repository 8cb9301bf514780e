"""The log-probability of a record's cell, whatever the family."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from ensample.events import Batch
from ensample.families.base import Distribution, Scores

POINTS = 11
"""Points of the rule that integrates a density over a cell; a prime, so that ten spans move on ten different paths."""


def cell_log_prob(distribution: Distribution, batch: Batch) -> Tensor:
    """Log-probability of each record's cell, nats [rows] float64.

    A family that counts cells has it already. A density p of x = encode(k + u) is integrated over u in (-1/2, 1/2) by a
    rank-1 lattice rule (Sloan and Joe, Lattice Methods for Multiple Integration, 1994) that shifts all spans at once:
    log mean_i [ p(encode(k + u_i)) encode'(k + u_i) ]. Its error falls exponentially in the width of the density over
    the width of the cell, and vanishes where cells are fine.
    """
    scored = cast(Scores, distribution)
    if distribution.measure == "cells":
        return scored.log_prob(batch).to(torch.float64)
    terms = []
    for shift in lattice_rule(POINTS, len(distribution.event)):
        density = scored.log_prob(replace(batch, offset=shift)).to(torch.float64)
        terms.append(density + distribution.event.log_slope(batch.cells, batch.mask, shift))
    return torch.logsumexp(torch.stack(terms), 0) - math.log(POINTS)


def lattice_rule(points: int, dimensions: int) -> Tensor:
    """Centred rank-1 lattice points in (-1/2, 1/2)^dimensions in Korobov's form, [points, dimensions] float64.

    Example:
        >>> lattice_rule(3, 2).mul(3).round().tolist()
        [[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]]
    """
    directions = torch.tensor([pow(2, j, points) for j in range(dimensions)], dtype=torch.float64)
    steps = torch.arange(points, dtype=torch.float64)[:, None]
    return torch.remainder(steps * directions / points + 0.5, 1.0) - 0.5
