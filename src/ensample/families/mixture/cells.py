"""Mixtures whose coordinates are independent within a component: the probability of a cell in closed form."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ensample.events import Batch, Continuous, Lattice, Mixed
from ensample.families.mixture.components import Components
from ensample.families.mixture.covariance import Covariance
from ensample.families.mixture.model import MixtureDistribution
from ensample.families.mixture.truncated import log_between

NARROW = 1e-3
"""A cell narrower than this many standard deviations has density times width: the error is below 1e-7 z^2."""

FAR = 2**36
"""From this cell on, the ends of a cell are too close for their difference to be accurate."""


class CellMixture(MixtureDistribution):
    """A mixture with diagonal or spherical covariances, over cells.

    `P(cell) = sum_k weight_k prod_j [Phi((upper_j - mean_kj) / sd_kj) - Phi((lower_j - mean_kj) / sd_kj)]`, times the
    tables of the classes: no rule of points is needed, and evidence is the whole cell.
    """

    measure: ClassVar[Literal["cells", "density"]] = "cells"

    def log_known(self, joint: Batch, values: Tensor, known: Tensor, codes: dict[int, Tensor]) -> Tensor:
        """Log of `weight * P(known cells)` [rows, k]."""
        own = self.components
        total = own.log_weights.expand(len(joint), -1)
        for i in known.tolist():
            column = self.layout.numbers[i]
            event = self.layout.event.spans[column].event
            assert isinstance(event, Continuous)
            deviations = own.covariances[:, i].sqrt()
            total = total + log_cells(event.lattice, joint.cells[:, column], own.means[:, i], deviations)
        for j, code in codes.items():
            total = total + own.tables[j].T[code]
        return total


def mixture_of(event: Mixed, given: Mixed | None, structure: Covariance, components: Components) -> MixtureDistribution:
    """The distribution of these components: over cells where that has a closed form, else a density."""
    return (CellMixture if structure.independent else MixtureDistribution)(event, given, structure, components)


def log_cells(lattice: Lattice, cells: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
    """Log-probability of each cell [rows] under normals [k] of the lattice's real numbers, float64 [rows, k].

    Example:
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> log_cells(Lattice(0, 9), torch.tensor([0, 1]), 0 * one, one).exp().round(decimals=4).flatten().tolist()
        [0.3829, 0.2417]
    """
    distinct, place = torch.unique(cells, return_inverse=True)
    volume, slope = lattice.log_volume(distinct), lattice.log_slope(distinct)
    width = torch.where(distinct.abs() < FAR, volume, slope)[:, None]
    z = (lattice.encode(distinct)[:, None] - means) / deviations
    thin = width - 0.5 * z.square() - deviations.log() - 0.5 * math.log(2.0 * math.pi)
    narrow = width.exp() < NARROW * deviations
    if bool(narrow.all()):
        return thin[place]
    ends = (lattice.encode(distinct + half)[:, None] for half in (-0.5, 0.5))
    low, high = ((end - means) / deviations for end in ends)
    mass = log_between(low, high)
    return torch.where(narrow | ~torch.isfinite(mass), thin, mass)[place]
