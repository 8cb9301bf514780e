"""Draws from a circuit given evidence and limits: latents down the tree, then classes, then numbers."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ensample.events import Limit
from ensample.families.bins import Bins
from ensample.families.chain import pick
from ensample.families.circuit.evidence import Evidence
from ensample.families.circuit.learning import FORM


def complete(evidence: Evidence, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Fill rows of one pattern: (cells, mask, log weights); see `Draws.draw`."""
    possible = torch.isfinite(evidence.total)
    states = _states(evidence, possible, generator)
    point, combination = _inside(evidence, states[0], possible, generator)
    cells, mask = evidence.joint.cells.clone(), evidence.joint.mask.clone()
    place = states[0], point, combination
    event = evidence.plan.layout.event
    for v, members in enumerate(evidence.plan.nodes):
        for j in sorted(members):
            if mask[0, j] or j not in evidence.plan.bins:
                continue
            exists = event.existing(cells, j) & possible
            drawn = _table(evidence, j, states[v], place, exists, generator)
            cells[:, j], mask[:, j] = torch.where(exists, drawn, 0), exists
    weight = torch.where(possible, 0.0, -torch.inf).to(torch.float64)
    if evidence.unknown:
        columns = [evidence.plan.numbers[i] for i in evidence.unknown]
        exists = torch.stack([event.existing(cells, j) & possible for j in columns], 1)
        weight += _numbers(evidence, place, exists, cells, generator)
        mask[:, columns] = exists
    return cells, mask, weight


def _states(evidence: Evidence, possible: Tensor, generator: Generator) -> list[Tensor]:
    """A latent state [n] of every node, from the root down."""
    own = evidence.own
    states: list[Tensor] = []
    for v, parent in enumerate(evidence.plan.parents):
        above = own.root if v == 0 else own.edges[v][states[parent]]
        logits = above + evidence.logits[v]
        states.append(pick(torch.where(possible[:, None], logits, 0.0), generator))
    return states


def _inside(evidence: Evidence, state: Tensor, possible: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """The point of the rule and the combination of contexts [n] within the drawn state of node 0."""
    n, points, combinations, _ = evidence.block.shape
    chosen = evidence.block.gather(3, state[:, None, None, None].expand(-1, points, combinations, 1)).reshape(n, -1)
    both = pick(torch.where(possible[:, None], chosen, 0.0), generator)
    return both // combinations, both % combinations


def _table(
    evidence: Evidence,
    j: int,
    state: Tensor,
    place: tuple[Tensor, Tensor, Tensor],
    exists: Tensor,
    generator: Generator,
) -> Tensor:
    """A cell [n] of an unknown column with a table, within its limit."""
    bins, limit = evidence.plan.bins[j], evidence.bounds.get(j)
    if j in evidence.open:
        index = evidence.grid[j][place[2]]
    else:
        logits = at_place(evidence.classes[j], state, place)
        alive = exists & torch.isfinite(logits.amax(1))
        index = pick(torch.where(alive[:, None], logits, 0.0), generator)
        exists = alive
    return _draw_inside(bins, index, exists, limit, generator)


def _draw_inside(bins: Bins, index: Tensor, exists: Tensor, limit: Limit | None, generator: Generator) -> Tensor:
    if limit is None:
        return bins.draw_inside(index, generator)
    cells = torch.zeros_like(index)
    cells[exists] = bins.draw_inside(index[exists], generator, limit.ranges)
    return cells


def at_place(table: Tensor, state: Tensor, place: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Rows [n, classes] of a table [1 or n, 1 or points, 1 or combinations, states, classes]."""
    rows, points, combinations = table.shape[:3]
    n = torch.arange(len(state))
    return table[n if rows > 1 else 0, place[1] if points > 1 else 0, place[2] if combinations > 1 else 0, state]


def _numbers(
    evidence: Evidence, place: tuple[Tensor, Tensor, Tensor], exists: Tensor, cells: Tensor, generator: Generator
) -> Tensor:
    """Write cells of the unknown numbers; the log weights [n] of what limits cut away."""
    plan, own = evidence.plan, evidence.own
    state, point, _ = place
    n, m = exists.shape
    shift = plan.shift_of({j: plan.bins[j].index(cells[:, j]) for j in plan.context})
    mean = own.means[state][:, evidence.at_unknown]
    if evidence.known and evidence.slopes is not None:
        x = evidence.x[torch.arange(n), point] - shift[:, evidence.at_known]
        moved = x - own.means[state][:, evidence.at_known]
        mean = mean + (evidence.slopes[state] @ moved[:, :, None])[:, :, 0]
    mean = mean + shift[:, evidence.at_unknown]
    factor = FORM.factor(evidence.rest)[state]  # [n, unknown, unknown]
    z = torch.randn(n, m, generator=generator, dtype=torch.float64)
    weight = torch.zeros(n, dtype=torch.float64)
    kept = {}
    for i in range(evidence.limited):
        middle = mean[:, i] + (factor[:, i, :i] * z[:, :i]).sum(1)
        cut = evidence.cut(i, middle, factor[:, i, i])
        drawn, kept[i] = cut.draw(generator)
        here = exists[:, i]
        z[:, i] = torch.where(here, drawn, z[:, i])
        if i > 0:
            weight += torch.where(here, cut.log_mass().clamp(max=0.0), 0.0)
    values = mean + (factor @ z[:, :, None])[:, :, 0]
    for i, number in enumerate(evidence.unknown):
        j = plan.numbers[number]
        column = plan.cells(number, values[:, i])
        if i in kept:
            ranges = torch.tensor(evidence.bounds[j].ranges)[kept[i]]
            column = torch.minimum(torch.maximum(column, ranges[:, 0]), ranges[:, 1])  # against rounding at an end
        cells[:, j] = torch.where(exists[:, i], column, 0)
    return weight
