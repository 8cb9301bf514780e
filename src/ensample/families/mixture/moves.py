"""Merge-and-split moves: leave a local optimum in which two components share a cluster and one covers two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ensample.families.mixture.model import MixtureDistribution
from ensample.families.mixture.start import cluster, points_of

if TYPE_CHECKING:
    from ensample.families.mixture.choice import Trials

CANDIDATES = 3
"""Best pairs to merge, and best components to split, that are combined into moves."""

GAIN = 1e-4
"""A move is kept if it gains this, in nats a record."""


def improved(trials: Trials, current: MixtureDistribution, moves: int) -> MixtureDistribution:
    """After at most so many moves, each followed by EM on the sample and kept only if it gains (Ueda, Nakano,
    Ghahramani and Hinton, SMEM algorithm for mixture models, 2000).
    """  # noqa: D205
    best = trials.objective(current) if moves else 0.0
    left = moves
    while left > 0 and len(current.components) > 2 and not trials.over:
        for merged, split in _proposals(trials, current):
            left -= 1
            changed = _moved(trials, current, merged, split)
            objective = trials.objective(changed)
            if objective > best + GAIN * len(trials.sample):
                current, best = changed, objective
                break
            if left == 0 or trials.over:
                return current
        else:
            return current
    return current


def _log_joint(trials: Trials, current: MixtureDistribution) -> Tensor:
    return current.log_joint(current.layout.event.values(trials.joint.cells), trials.joint)


def _proposals(trials: Trials, current: MixtureDistribution) -> Iterator[tuple[tuple[int, int], int]]:
    """Pairs to merge, whose rows are shared most alike, with components to split, whose rows they fit worst.

    The first is the cosine of responsibilities; the second the divergence of the component's rows, weighed by
    responsibility, from its density.
    """
    joint = _log_joint(trials, current)
    log_share = torch.log_softmax(joint, 1)
    share = log_share.exp()
    unit = share / share.norm(dim=0).clamp(min=1e-300)
    alike = torch.triu(unit.T @ unit, 1)
    log_local = log_share - log_share.logsumexp(0)
    misfit = (log_local.exp() * (log_local - (joint - current.components.log_weights))).nan_to_num(0.0).sum(0)
    k = len(misfit)
    pairs = alike.flatten().argsort(descending=True)[: CANDIDATES + 2 * k].tolist()
    worst = misfit.argsort(descending=True).tolist()
    found = [
        ((pair // k, pair % k), c)
        for pair in pairs[:CANDIDATES]
        for c in [one for one in worst if one not in (pair // k, pair % k)][:CANDIDATES]
        if pair // k < pair % k
    ]
    yield from sorted(found, key=lambda move: pairs.index(move[0][0] * k + move[0][1]) + worst.index(move[1]))


def _moved(trials: Trials, current: MixtureDistribution, merged: tuple[int, int], split: int) -> MixtureDistribution:
    """EM from where the rows of two components have become those of one, and those of another two."""
    labels = _log_joint(trials, current).argmax(1)
    labels = torch.where(labels == merged[1], merged[0], labels)
    rows = (labels == split).nonzero()[:, 0]
    if len(rows) >= 2:
        generator = torch.Generator().manual_seed(trials.seed)
        halves = cluster(points_of(trials.layout, trials.joint.take(rows)), 2, generator)
        labels[rows[halves == 1]] = merged[1]
    return trials.refined(trials.labelled(labels))
