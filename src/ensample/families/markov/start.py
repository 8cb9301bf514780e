"""Where EM for a hidden Markov model starts: clusters of steps, seen with more or less of what is around them."""

from __future__ import annotations

import itertools

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Ragged
from ensample.families.markov.lengths import LengthLaw
from ensample.families.markov.packing import Packing
from ensample.families.markov.parameters import Parameters
from ensample.families.markov.trellis import Chain
from ensample.families.mixture.components import Components, Layout
from ensample.families.mixture.covariance import Covariance
from ensample.families.mixture.start import cluster, components_of, points_of

REACHES = (0, 2, 1, 5)
"""Steps on each side that a start averages over: states of overlapping emissions show in what surrounds a step."""

_BLUR = 0.1
"""Share of every table and transition that is random: states that begin equal would stay equal."""


def starting_parameters(
    structure: Covariance,
    event: Ragged,
    batch: Batch,
    lengths: LengthLaw,
    states: int,
    each: int,
    smoothing: float,
    ridge: float,
    generator: Generator,
    attempt: int,
) -> Parameters:
    """Parameters from a sample of sequences; attempts differ in their clusters, by `REACHES` and by chance."""
    assert batch.lengths is not None
    packing, layout = Packing.of(batch.lengths), Layout.of(event.element, None)
    steps = Batch(batch.cells[packing.rows, packing.steps], batch.mask[packing.rows, packing.steps])
    around = _averaged(points_of(layout, steps), packing, batch.cells.shape[:2], REACHES[attempt % len(REACHES)])
    labels = cluster(around, min(states, len(steps)), generator)
    labels = _spread(labels, states, generator)
    components = _components(structure, layout, steps, labels, states, each, smoothing, ridge, generator)
    return Parameters(_chain(labels, packing, states, generator), components, lengths)


def _averaged(points: Tensor, packing: Packing, shape: torch.Size, reach: int) -> Tensor:
    """Each point [positions, width] averaged with those up to `reach` steps before and behind it."""
    if reach == 0:
        return points
    padded = points.new_zeros(*shape, points.shape[1] + 1)
    padded[packing.rows, packing.steps, :-1] = points
    padded[packing.rows, packing.steps, -1] = 1.0
    total = torch.nn.functional.pad(padded, (0, 0, reach + 1, reach)).cumsum(1)
    window = total[:, 2 * reach + 1 :] - total[:, : -2 * reach - 1]
    return (window[..., :-1] / window[..., -1:].clamp(min=1.0))[packing.rows, packing.steps]


def _spread(labels: Tensor, states: int, generator: Generator) -> Tensor:
    """Labels that use every state, if there are steps enough: states without a step take random ones."""
    labels = labels.clone()
    empty = (torch.bincount(labels, minlength=states) == 0).nonzero()[:, 0]
    if len(empty):
        share = max(1, len(labels) // (2 * states))
        chosen = torch.randperm(len(labels), generator=generator)[: share * len(empty)]
        labels[chosen] = empty[torch.arange(len(chosen)) % len(empty)]
    return labels


def _components(
    structure: Covariance,
    layout: Layout,
    steps: Batch,
    labels: Tensor,
    states: int,
    each: int,
    smoothing: float,
    ridge: float,
    generator: Generator,
) -> Components:
    """Components of every state: clusters of the steps that bear its label."""
    whole = components_of(structure, layout, steps, torch.zeros_like(labels), smoothing, ridge)
    found = []
    for state in range(states):
        rows = (labels == state).nonzero()[:, 0]
        part = steps.take(rows)
        inner = cluster(points_of(layout, part), min(each, len(rows)), generator) if len(rows) else rows
        found.append(components_of(structure, layout, part, inner, smoothing, ridge) if len(rows) else whole)
        at = torch.arange(each) % len(found[-1])  # a state of few steps has some of its components twice
        found[-1] = _taken(found[-1], at)
    tables = {}
    for j, share in whole.shares.items():
        table = torch.cat([part.tables[j] for part in found]).exp()
        noise = torch.rand(table.shape, generator=generator, dtype=torch.float64) * share
        tables[j] = ((1.0 - _BLUR) * table + _BLUR * noise / noise.sum(1, keepdim=True)).log()
    means = torch.cat([part.means for part in found])
    weights = torch.cat([part.log_weights - part.log_weights.logsumexp(0) for part in found])
    return Components(weights, means, torch.cat([part.covariances for part in found]), tables, whole.shares)


def _taken(components: Components, at: Tensor) -> Components:
    tables = {j: table[at] for j, table in components.tables.items()}
    return Components(
        components.log_weights[at], components.means[at], components.covariances[at], tables, components.shares
    )


def _chain(labels: Tensor, packing: Packing, states: int, generator: Generator) -> Chain:
    """How often labels begin sequences and follow each other."""
    begins = torch.bincount(labels[packing.steps == 0], minlength=states).to(torch.float64)
    counts = torch.zeros(states * states, dtype=torch.float64)
    for before, after in itertools.pairwise(torch.split(labels, list(packing.sizes))):
        counts += torch.bincount(before[: len(after)] * states + after, minlength=states * states)
    noise = torch.rand(states, states, generator=generator, dtype=torch.float64)
    moves = (1.0 - _BLUR) * _shares(counts.view(states, states) + 1.0) + _BLUR * _shares(noise)
    return Chain.of(_shares(begins + 1.0), moves)


def _shares(counts: Tensor) -> Tensor:
    return counts / counts.sum(-1, keepdim=True)
