"""Conditional means and modes of a circuit."""

from __future__ import annotations

import torch
from torch import Tensor

from ensample.events import Continuous, Limit
from ensample.families.bins import Bins
from ensample.families.circuit.evidence import Evidence
from ensample.families.mixture.truncated import between, log_between

QUANTILES = 32
"""Points of the rule that takes the mean position of a warped Gaussian."""

LEAST = 1e-9
"""States of a smaller posterior are left out of the means of Gaussian leaves."""


def expected(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Values [n, spans] float64 and the mask of what exists, for rows of one pattern; see `Expects.expect`.

    The mean of a number is that over the cases in which it exists.
    """
    plan, event = evidence.plan, evidence.plan.layout.event
    posterior = _posteriors(evidence)
    whole = _within_root(evidence)
    cells, mask = evidence.joint.cells.clone(), evidence.joint.mask.clone()
    discrete = [j for j, span in enumerate(plan.spans) if not isinstance(span.event, Continuous)]
    for v, columns in enumerate(plan.nodes):
        for j in sorted(set(columns) & set(discrete)):
            if not mask[0, j]:
                mask[:, j] = event.existing(cells, j)
                chance = _chances(evidence, j, posterior[v], whole)
                cells[:, j] = torch.where(mask[:, j], _likeliest(plan.bins[j], chance, evidence.bounds.get(j)), 0)
    values = cells.to(torch.float64)
    for v, columns in enumerate(plan.nodes):
        for j in sorted(set(columns) - set(discrete)):
            if evidence.mask[j]:
                continue
            mask[:, j] = event.existing(cells, j)
            mean = _table_mean(evidence, j, posterior[v], whole) if j in plan.bins else _mean(evidence, j, whole)
            values[:, j] = torch.where(mask[:, j], mean, 0.0)
    return values, mask


def _posteriors(evidence: Evidence) -> list[Tensor]:
    """Posterior [n, states] of every node."""
    own, out = evidence.own, []
    for v, parent in enumerate(evidence.plan.parents):
        if v == 0:
            out.append(torch.softmax(own.root + evidence.logits[0], 1).nan_to_num(0.0))
            continue
        log_below = evidence.logits[v]
        top = log_below.amax(1, keepdim=True).nan_to_num(0.0, neginf=0.0)
        below = torch.exp(log_below - top)
        ratio = out[parent] / (below @ own.edges[v].exp().T).clamp(min=1e-300)
        out.append(below * (ratio @ own.edges[v].exp()))
    return out


def _within_root(evidence: Evidence) -> Tensor:
    """Posterior [n, points, combinations, states] of node 0."""
    beside = (evidence.own.root + evidence.logits[0])[:, None, None, :]
    log = beside + evidence.block - evidence.block.logsumexp((1, 2), keepdim=True)
    flat = torch.softmax(log.nan_to_num(-torch.inf).flatten(1), 1).nan_to_num(0.0)
    return flat.reshape(evidence.block.shape)


def _chances(evidence: Evidence, j: int, posterior: Tensor, whole: Tensor) -> Tensor:
    """Probability [n, bins] of the bins of an unknown column."""
    if j in evidence.open:
        chance = whole.sum((1, 3))
        out = torch.zeros(len(chance), len(evidence.plan.bins[j]), dtype=torch.float64)
        return out.index_add_(1, evidence.grid[j], chance)
    table = torch.softmax(evidence.classes[j], -1).nan_to_num(0.0)
    if table.shape[:3].numel() == 1:
        return posterior @ table[0, 0, 0]
    return (whole[..., None] * table).sum((1, 2, 3))


def _likeliest(bins: Bins, chance: Tensor, limit: Limit | None) -> Tensor:
    """The most probable class [n] from probabilities of bins [n, bins]."""
    assert bins.weights is not None
    classes = torch.arange(len(bins.weights))
    weights = bins.weights if limit is None else torch.where(limit.contains(classes), bins.weights, 0.0)
    index = bins.index(classes)
    total = torch.zeros(len(bins), dtype=torch.float64).index_add_(0, index, weights)
    inside = weights / total[index].clamp(min=1e-300)
    return torch.cat([(part[:, index] * inside).argmax(1) for part in torch.split(chance, 4096)])


def _existing(evidence: Evidence, j: int) -> Tensor | float:
    """Probability [1 or n, 1 or points, 1 or combinations, states] that column j exists, within all limits."""
    exists = evidence.plan.spans[j].exists
    if exists is None or exists[0] not in evidence.classes:
        return 1.0
    table = torch.softmax(evidence.classes[exists[0]], -1).nan_to_num(0.0)
    return table[..., list(exists[1])].sum(-1)


def _table_mean(evidence: Evidence, j: int, posterior: Tensor, whole: Tensor) -> Tensor:
    """Mean position [n] of an unknown number with a table."""
    bins, limit = evidence.plan.bins[j], evidence.bounds.get(j)
    table = torch.softmax(evidence.own.tables[j] + (0.0 if limit is None else bins.share(limit.ranges).log()), 1)
    existing = _existing(evidence, j)
    if isinstance(existing, Tensor):
        posterior = existing[0, 0, 0] * posterior if existing.shape[:3].numel() == 1 else (whole * existing).sum((1, 2))
    means = table.nan_to_num(0.0) @ _middles(bins, limit)
    return (posterior @ means) / posterior.sum(1).clamp(min=1e-300)


def _mean(evidence: Evidence, j: int, whole: Tensor) -> Tensor:
    """Mean position [n] of an unknown number with Gaussian leaves."""
    number = evidence.plan.numbers.index(j)
    i = evidence.unknown.index(number)
    weight = whole * _existing(evidence, j)
    rows, point, combination, state = (weight > LEAST).nonzero().T
    mean = evidence.mean(i).expand(weight.shape)[rows, point, combination, state]
    deviation = evidence.deviation(i)[state]
    share = weight[rows, point, combination, state]
    steps = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
    total = torch.zeros(len(weight), dtype=torch.float64)
    for part in torch.split(torch.arange(len(rows)), 2**16):
        positions = _positions(evidence, i, mean[part], deviation[part], steps)
        total.index_add_(0, rows[part], share[part] * positions)
    return total / weight.sum((1, 2, 3)).clamp(min=1e-300)


def _positions(evidence: Evidence, i: int, mean: Tensor, deviation: Tensor, steps: Tensor) -> Tensor:
    """Mean position [m] of warped Gaussians, within the limit of unknown number i if it has one."""
    warp = evidence.plan.warps[evidence.unknown[i]]
    if i >= evidence.limited:
        z = torch.special.ndtri(steps)
        return warp.position(mean[:, None] + deviation[:, None] * z).mean(1)
    low, high = evidence.intervals(i)
    ends = [(end - mean[:, None]) / deviation[:, None] for end in (low, high)]
    masses = torch.softmax(log_between(*ends), 1).nan_to_num(1.0 / len(low))
    z = between(ends[0][..., None], ends[1][..., None], steps)
    return (masses * warp.position(mean[:, None, None] + deviation[:, None, None] * z).mean(2)).sum(1)


def _middles(bins: Bins, limit: Limit | None) -> Tensor:
    """Mean cell position [bins] inside each bin of a number, within the limit."""
    first, last = bins.first.to(torch.float64), bins.last.to(torch.float64)
    spread, centre = last - first + 1.0, (first + last) / 2.0
    favoured = torch.zeros(len(bins), dtype=torch.float64)
    moved = torch.zeros_like(favoured)
    whole = torch.zeros_like(favoured)
    if bins.favourites is not None and bins.mass is not None:
        index = bins.index(bins.favourites)
        whole = whole.index_add_(0, index, bins.mass)
        allowed = bins.mass if limit is None else torch.where(limit.contains(bins.favourites), bins.mass, 0.0)
        favoured = favoured.index_add_(0, index, allowed)
        moved = moved.index_add_(0, index, allowed * bins.favourites)
    even = (1.0 - whole) / spread
    if limit is None:
        return moved + even * spread * centre
    for low, high in limit.ranges:
        a, b = first.clamp(min=float(low)), last.clamp(max=float(high))
        cells = (b - a + 1.0).clamp(min=0.0)
        favoured = favoured + even * cells
        moved = moved + even * cells * (a + b) / 2.0
    return torch.where(favoured > 0.0, moved / favoured.clamp(min=1e-300), centre)
