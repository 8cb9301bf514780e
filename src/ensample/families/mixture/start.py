"""Where EM for a mixture starts: k-means++ seeds, a few rounds of k-means, and what each cluster looks like."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ensample.events import Batch
from ensample.families.mixture.components import Components, Layout, cell_noise, shares_of
from ensample.families.mixture.covariance import Covariance

ROUNDS = 10
"""Rounds of k-means after seeding."""

BUCKETS = 32
"""Classes of a span beyond this number share coordinates when distances are taken."""


def starting_components(
    structure: Covariance, layout: Layout, joint: Batch, k: int, smoothing: float, ridge: float, generator: Generator
) -> Components:
    """Components from clusters of a sample; a hole counts as the mean while they are sought, and not at all after."""
    labels = cluster(points_of(layout, joint), min(k, len(joint)), generator)
    return components_of(structure, layout, joint, labels, smoothing, ridge)


def points_of(layout: Layout, joint: Batch) -> Tensor:
    """Rows as points [rows, coordinates] among which clusters are sought."""
    numbers = layout.numbers
    values, mask = layout.event.values(joint.cells)[:, numbers], joint.mask[:, numbers]
    overall = _average(values, mask, torch.ones(len(joint), 1, dtype=torch.float64))[0]
    return torch.cat([torch.where(mask, values, overall), *_indicators(layout, joint)], 1)


def components_of(
    structure: Covariance, layout: Layout, joint: Batch, labels: Tensor, smoothing: float, ridge: float
) -> Components:
    """What the rows of each label [rows] look like; a label without rows gets no component."""
    numbers = layout.numbers
    values, mask = layout.event.values(joint.cells)[:, numbers], joint.mask[:, numbers]
    overall = _average(values, mask, torch.ones(len(joint), 1, dtype=torch.float64))[0]
    shares = {j: shares_of(joint.cells[:, j], joint.mask[:, j], size) for j, size in layout.classes.items()}
    member = torch.nn.functional.one_hot(labels, int(labels.max()) + 1).to(torch.float64)
    member = member[:, member.sum(0) > 0]
    means = _average(values, mask, member, overall)
    spread = _average((values - overall).square(), mask, torch.ones(len(joint), 1, dtype=torch.float64))
    noise = cell_noise(layout, joint.cells, ridge)
    variances = _average((values - member @ means).square() + noise, mask, member, spread[0] + noise.mean(0))
    tables = {}
    for j, share in shares.items():
        known = joint.mask[:, j]
        counts = torch.zeros(member.shape[1], len(share), dtype=torch.float64)
        counts.index_add_(1, joint.cells[known, j], member[known].T.contiguous())
        counts += (smoothing + 1.0) * share
        tables[j] = torch.log(counts / counts.sum(1, keepdim=True))
    log_weights = torch.log(member.mean(0))
    return Components(log_weights, means, structure.spread(variances), tables, shares)


def cluster(points: Tensor, k: int, generator: Generator) -> Tensor:
    """Labels [rows] by k-means from k-means++ seeds (Arthur and Vassilvitskii 2007)."""
    centers = _seeds(points, k, generator)
    labels = _nearest(points, centers)
    for _ in range(ROUNDS):
        count = torch.bincount(labels, minlength=k).to(torch.float64)[:, None]
        total = torch.zeros_like(centers).index_add_(0, labels, points)
        centers = torch.where(count > 0, total / count.clamp(min=1.0), centers)
        labels = _nearest(points, centers)
    return labels


def _seeds(points: Tensor, k: int, generator: Generator) -> Tensor:
    first = torch.randint(len(points), (1,), generator=generator)
    chosen = [points[first[0]]]
    distance = (points - chosen[0]).square().sum(1)
    for _ in range(k - 1):
        cumulative = distance.cumsum(0)
        u = torch.rand(1, generator=generator, dtype=torch.float64) * cumulative[-1]
        pick = torch.searchsorted(cumulative, u, right=True).clamp(max=len(points) - 1)
        chosen.append(points[pick[0]])
        distance = torch.minimum(distance, (points - chosen[-1]).square().sum(1))
    return torch.stack(chosen)


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    return (centers.square().sum(1) - 2.0 * points @ centers.T).argmin(1)


def _indicators(layout: Layout, joint: Batch) -> list[Tensor]:
    """Coordinates in which two rows of different class are at distance 1."""
    columns = []
    for j, size in layout.classes.items():
        hot = torch.nn.functional.one_hot(joint.cells[:, j] % min(size, BUCKETS), min(size, BUCKETS))
        columns.append(hot * joint.mask[:, j, None] * 0.5**0.5)
    return columns


def _average(values: Tensor, mask: Tensor, member: Tensor, prior: Tensor | None = None) -> Tensor:
    """Mean [k, d] of what is known in each cluster; `prior` counts as one more row, or as 0 where nothing is known."""
    count, total = member.T @ mask.to(torch.float64), member.T @ torch.where(mask, values, 0.0)
    if prior is None:
        return total / count.clamp(min=1.0)
    return (total + prior) / (count + 1.0)
