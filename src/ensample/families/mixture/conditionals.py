"""Draws from a mixture given evidence and limits: component, then classes, then numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Continuous, Lattice, Limit
from ensample.families.chain import pick
from ensample.families.mixture.evidence import Evidence
from ensample.families.mixture.truncated import Cut

if TYPE_CHECKING:
    from ensample.families.mixture.model import MixtureDistribution

_FAR = 2.0**52


def complete_pattern(
    model: MixtureDistribution, joint: Batch, bounds: dict[int, Limit], generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Fill rows of one pattern: (cells, mask, log weights); see `Draws.draw`."""
    return complete(Evidence(model, joint, bounds), generator)


def complete(evidence: Evidence, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Fill the rows of some evidence; its `logits` may have been weighed by what else is known of the components."""
    model, joint = evidence.model, evidence.joint
    possible = torch.isfinite(evidence.logits.logsumexp(1))
    component = pick(torch.where(possible[:, None], evidence.logits, 0.0), generator)
    cells, mask = joint.cells.clone(), joint.mask.clone()
    for j in sorted(evidence.classes):
        exists = model.layout.event.existing(cells, j)
        cells[:, j] = torch.where(exists, draw_classes(evidence.classes[j], component, generator), 0)
        mask[:, j] = exists
    exists = torch.stack([model.layout.event.existing(cells, j) for j in evidence.columns] or [possible], 1)
    weight = torch.where(possible, 0.0, -torch.inf).to(torch.float64)
    if evidence.columns:
        weight += _numbers(evidence, component, exists, cells, generator)
        mask[:, evidence.columns] = exists
    return cells, mask, weight


def draw_classes(logits: Tensor, component: Tensor, generator: Generator) -> Tensor:
    """A class of each row's component from logits [1 or n, k, classes]; int64 [n]."""
    if len(logits) > 1:
        chosen = logits[torch.arange(len(component)), component]
        return pick(torch.where(torch.isfinite(chosen.amax(1, keepdim=True)), chosen, 0.0), generator)
    k, size = logits.shape[1:]
    dead = torch.isneginf(logits[0].amax(1, keepdim=True))
    cumulative = torch.softmax(torch.where(dead, 0.0, logits[0]), 1).cumsum(1)
    ladder = (cumulative / cumulative[:, -1:] + torch.arange(k, dtype=torch.float64)[:, None]).flatten()
    u = torch.rand(len(component), generator=generator, dtype=torch.float64) * (1.0 - 1e-12)
    found = torch.searchsorted(ladder, u + component, right=True) - size * component
    return found.clamp(0, size - 1)


def _numbers(evidence: Evidence, component: Tensor, exists: Tensor, cells: Tensor, generator: Generator) -> Tensor:
    """Write cells of the unknown numbers; the log weights [n] of what limits cut away."""
    z = torch.randn(exists.shape, generator=generator, dtype=torch.float64)
    route = _independent if evidence.slopes is None else _by_component
    values, kept, weight = route(evidence, component, exists, z, generator)
    for i, j in enumerate(evidence.columns):
        column = to_cells(_lattice(evidence, i), values[:, i])
        if i in kept:
            ranges = torch.tensor(evidence.bounds[j].ranges)[kept[i]]
            column = torch.minimum(torch.maximum(column, ranges[:, 0]), ranges[:, 1])  # against rounding at an end
        cells[:, j] = torch.where(exists[:, i], column, 0)
    return weight


Drawn = tuple[Tensor, dict[int, Tensor], Tensor]
"""Values [n, unknown], the range of each limited number that its value lies in, log weights [n]."""


def _independent(evidence: Evidence, component: Tensor, exists: Tensor, z: Tensor, generator: Generator) -> Drawn:
    """Numbers that do not depend on each other, of all components at once."""
    means = evidence.model.components.means[:, evidence.unknown][component]
    scales = evidence.model.structure.form.factor(evidence.rest)[component]
    kept = {}
    for i in range(evidence.limited):
        limit = evidence.bounds[evidence.columns[i]]
        cut = Cut.of(_lattice(evidence, i), limit.ranges, means[:, i], scales[:, i])
        drawn, kept[i] = cut.draw(generator)
        z[:, i] = torch.where(exists[:, i], drawn, z[:, i])
    return means + scales * z, kept, torch.zeros(len(z), dtype=torch.float64)


def _by_component(evidence: Evidence, component: Tensor, exists: Tensor, z: Tensor, generator: Generator) -> Drawn:
    """Numbers one after the other, each given those before it, one component at a time."""
    form = evidence.model.structure.form
    factors = form.factor(evidence.rest)
    values, weight = torch.empty_like(z), torch.zeros(len(z), dtype=torch.float64)
    kept: dict[int, Tensor] = {i: torch.zeros(len(z), dtype=torch.int64) for i in range(evidence.limited)}
    for k in torch.unique(component).tolist():
        rows = (component == k).nonzero()[:, 0]
        mean, factor, inner = evidence.mean(k, rows), factors[k], z[rows]
        scale = form.diagonal(factors)[k]
        for i in range(evidence.limited):
            middle = mean[:, i] + form.prefix(factor, inner, i)
            lattice, limit = _lattice(evidence, i), evidence.bounds[evidence.columns[i]]
            cut = Cut.of(lattice, limit.ranges, middle, scale[i].expand_as(middle))
            drawn, kept[i][rows] = cut.draw(generator)
            here = exists[rows, i]
            inner[:, i] = torch.where(here, drawn, inner[:, i])
            if i >= evidence.exact:
                weight[rows] += torch.where(here, cut.log_mass().clamp(max=0.0), 0.0)
        values[rows] = mean + form.apply(factor, inner)
    return values, kept, weight


def _lattice(evidence: Evidence, i: int) -> Lattice:
    event = evidence.spans[evidence.columns[i]].event
    assert isinstance(event, Continuous)
    return event.lattice


def to_cells(lattice: Lattice, x: Tensor) -> Tensor:
    """Cells of drawn values; positions that no file could hold are pulled in to 2^52."""
    return torch.round(lattice.position(x).clamp(-_FAR, _FAR)).to(torch.int64)
