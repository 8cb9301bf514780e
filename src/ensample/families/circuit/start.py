"""Where EM for a circuit starts: clusters of rows as latent states, node by node."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Continuous
from ensample.families.base import Statistics
from ensample.families.circuit.learning import Parameters, Prior, add_moments, expected_statistics, most_likely
from ensample.families.circuit.plan import Coded, Plan, coded

BUCKETS = 32
"""Classes of a column beyond this number share coordinates when distances are taken."""

FAR = 3.0
"""Numbers are clipped at this many standard deviations when distances are taken: outliers are no clusters."""

ROUNDS = 8
"""Rounds of k-means."""

INDICATOR = 0.3
"""Weight of a class in distances beside a number: classes have tables, which need no states of their own."""

SHRUNK = 0.1
"""What covariances are drawn towards: that within clusters, times this."""


def features(plan: Plan, data: Coded, columns: tuple[int, ...]) -> Tensor:
    """Coordinates [rows, features] of these columns in which distances mean something.

    Numbers are counted in deviations, classes have indicators of less weight; what is unknown is in the middle.
    """
    parts = []
    numbers = [i for i, j in enumerate(plan.numbers) if j in columns]
    if numbers:
        x = torch.full((len(data.constant), len(plan.numbers)), torch.nan, dtype=torch.float64)
        for pattern in data.patterns:
            x[pattern.rows[:, None], pattern.known] = pattern.x
        x = x[:, numbers]
        centre = torch.nanmean(x, 0)
        deviation = torch.nanmean((x - centre).square(), 0).sqrt().clamp(min=1e-9)
        parts.append(((x - centre) / deviation).clamp(-FAR, FAR).nan_to_num(0.0))
    for j in columns:
        if j not in plan.bins:
            continue
        size, known = len(plan.bins[j]), data.codes[j] < len(plan.bins[j])
        if isinstance(plan.spans[j].event, Continuous) and size > BUCKETS:
            place = data.codes[j].to(torch.float64) / size
            parts.append((torch.where(known, place - 0.5, 0.0) * 12.0**0.5)[:, None])
        else:
            hot = torch.nn.functional.one_hot(data.codes[j] % min(size, BUCKETS), min(size, BUCKETS))
            parts.append(INDICATOR * hot.to(torch.float64) * known[:, None])
    return torch.cat(parts, 1) if parts else torch.zeros(len(data.constant), 1, dtype=torch.float64)


def cluster(points: Tensor, k: int, generator: Generator) -> Tensor:
    """Labels [rows] by k-means from k random rows, which lie where rows are: no state begins with an outlier alone."""
    points = points.to(torch.float32)
    centers = points[torch.randperm(len(points), generator=generator)[:k]]
    for _ in range(ROUNDS):
        labels = torch.addmm(centers.square().sum(1), points, centers.T, alpha=-2.0).argmin(1)
        count = torch.bincount(labels, minlength=len(centers)).to(points.dtype)[:, None]
        total = torch.zeros_like(centers).index_add_(0, labels, points)
        centers = torch.where(count > 0, total / count.clamp(min=1.0), centers)
    return labels


def starting(
    plan: Plan, joint: Batch, states: list[int], ridge: float, prior: Prior, generator: Generator
) -> Parameters:
    """Parameters from clusters of a sample; `states` is their number at every node.

    Each node's latent is the cluster of its own columns and, with half the weight for every edge between, of those of
    the other nodes.
    """
    data = coded(plan, joint, ridge)
    parts = [features(plan, data, columns) for columns in plan.nodes]
    labels = []
    for v in range(len(parts)):
        near = [part * 0.5**distance for part, distance in zip(parts, plan.distances(v), strict=True)]
        found = cluster(torch.cat(near, 1), min(states[v], len(joint)), generator)
        labels.append(torch.unique(found, return_inverse=True)[1])
    return from_labels(plan, data, labels, prior)


def from_labels(plan: Plan, data: Coded, labels: list[Tensor], prior: Prior) -> Parameters:
    """The parameters that known latents [rows] of every node give."""
    member = [_one_hot(label) for label in labels]
    blank = _blank(plan, data, [part.shape[1] for part in member])
    statistics = {
        "root": member[0].sum(0),
        "count": torch.zeros_like(blank.means),
        "first": torch.zeros_like(blank.means),
        "second": torch.zeros_like(blank.covariances),
    }
    for v in range(1, len(member)):
        statistics[f"edge.{v}"] = member[plan.parents[v]].T @ member[v]
    for v, columns in enumerate(plan.nodes):
        for j in columns:
            if j in plan.bins:
                counts = torch.zeros(member[v].shape[1], len(plan.bins[j]) + 1, dtype=torch.float64)
                statistics[f"table.{j}"] = counts.index_add_(1, data.codes[j], member[v].T.contiguous())[:, :-1]
    for pattern in data.patterns:
        add_moments(blank, pattern, member[0], statistics)
    return most_likely(plan, replace(blank, scatter=_within(statistics) * SHRUNK), statistics, prior)


def _within(statistics: Statistics) -> Tensor:
    """Covariance [numbers, numbers] within the states, pooled: it keeps narrow directions narrow."""
    count, first = statistics["count"].clamp(min=1e-12), statistics["first"]
    means = first / count
    scatter = statistics["second"] - first[:, :, None] * means[:, None, :]
    pooled = scatter.sum(0) / statistics["count"].sum(0).clamp(min=1.0)
    return pooled + torch.diag(1e-9 + 1e-6 * torch.diagonal(pooled))


def _one_hot(label: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(label, int(label.max()) + 1).to(torch.float64)


def _blank(plan: Plan, data: Coded, states: list[int]) -> Parameters:
    """One and the same distribution in every state: the overall shares, means and variances."""
    shares = {}
    for j, codes in data.codes.items():
        counts = torch.bincount(codes, minlength=len(plan.bins[j]) + 1)[:-1].to(torch.float64) + 0.5
        shares[j] = counts / counts.sum()
    d = len(plan.numbers)
    count, first, second = (torch.zeros(d, dtype=torch.float64) for _ in range(3))
    for pattern in data.patterns:
        count[pattern.known] += len(pattern.rows)
        first[pattern.known] += pattern.x.sum(0)
        second[pattern.known] += (pattern.x.square() + pattern.noise).sum(0)
    means = first / count.clamp(min=1.0)
    variances = (second / count.clamp(min=1.0) - means.square()).clamp(min=1e-6)
    variances = torch.where(count > 0, variances, 1.0)
    return Parameters(
        torch.zeros(states[0], dtype=torch.float64),
        {v: torch.zeros(states[plan.parents[v]], states[v], dtype=torch.float64) for v in range(1, len(states))},
        {
            j: torch.zeros(states[v], len(shares[j]), dtype=torch.float64)
            for v, c in enumerate(plan.nodes)
            for j in c
            if j in shares
        },
        means.expand(states[0], -1).clone(),
        torch.diag(variances).expand(states[0], -1, -1).clone(),
        shares,
        torch.diag(variances),
    )


def refined(plan: Plan, current: Parameters, joint: Batch, ridge: float, prior: Prior, steps: int) -> Parameters:
    """Some steps of EM on a sample."""
    data = coded(plan, joint, ridge)
    for _ in range(steps):
        current = most_likely(plan, current, expected_statistics(plan, current, data), prior)
    return current
