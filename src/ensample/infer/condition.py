"""Records that meet conditions: evidence and limits, by the exact route of the family or by exact rejection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Generator, Tensor

from ensample.errors import CapabilityError
from ensample.events import Batch, Limit, Mixed, concatenate, unknown
from ensample.families.abilities import Draws
from ensample.families.base import Distribution
from ensample.infer.likelihood import inside_cells
from ensample.infer.proposal import completing

PILOT = (512, 4_096, 32_768)
"""Sizes of the trial draws that tell how rare a condition is; a later one is made only if the earlier found nothing."""

RARE = 1e-3
"""Below this share of accepted samples, a family without conditionals gets proposals of its own: `infer.proposal`."""

MOST_PROPOSALS = 5_000_000
"""More proposals than this are not started: the refusal comes before sampling."""


def draw_where(
    distribution: Distribution, n: int, limits: Sequence[Limit], generator: Generator, cond: Batch | None
) -> Batch:
    """Exactly n records within the limits.

    Limits of a single cell become evidence, so that families with exact conditionals use them. What remains is
    rejection: proposals carry log weights (`Draws.draw`), and are accepted in proportion to the largest weight met.
    `cond` holds one row of given fields.

    Raises:
        CapabilityError: the condition is so rare that n rows would cost more than `MOST_PROPOSALS`; nothing was made.
    """
    evidence, rest = split_limits(distribution.event, limits)
    pool = _piloted(distribution, evidence, rest, generator, cond)
    if pool.rate() < RARE and (other := completing(distribution)) is not distribution:
        distribution = other
        pool = _piloted(distribution, evidence, rest, generator, cond)
    expected = n / pool.rate() if pool.rate() > 0 else float("inf")
    if expected > MOST_PROPOSALS:
        raise _too_rare(pool, n)
    kept = pool.accept(generator)
    while len(kept) < n:
        size = int(min(100_000, max(256, 1.2 * (n - len(kept)) / max(pool.rate(), 1e-9))))
        pool.add(*_propose(distribution, evidence, rest, size, generator, cond))
        kept = concatenate([kept, pool.accept(generator)])
    return kept.take(slice(0, n))


def _piloted(
    distribution: Distribution, evidence: Batch, limits: Sequence[Limit], generator: Generator, cond: Batch | None
) -> _Pool:
    """Trial draws, until some would be accepted."""
    pool = _Pool(cut=not distribution.sees_evidence)
    for size in PILOT:
        pool.add(*_propose(distribution, evidence, limits, size, generator, cond))
        if pool.rate() > 0:
            break
    return pool


class _Pool:
    """Proposals waiting to be accepted, and what the weights of all proposals have told so far.

    Weights are measured by the largest one met (empirical supremum rejection sampling, Caffo, Booth and Davis 2002). If
    they are those of importance sampling, which have no bound, they are `cut` at their mean times the root of their
    number, which costs a bias that vanishes with their number and saves most of the work (Ionides 2008).
    """

    def __init__(self, cut: bool) -> None:
        self.waiting: list[tuple[Batch, Tensor]] = []
        self.cut, self.weights = cut, torch.empty(0, dtype=torch.float64)

    @property
    def proposals(self) -> int:
        """How many were made."""
        return len(self.weights)

    def add(self, batch: Batch, weight: Tensor) -> None:
        self.weights = torch.cat([self.weights, weight])
        self.waiting.append((batch, weight))

    def top(self) -> float:
        """Log weight that is accepted always."""
        top = float(self.weights.max())
        if not self.cut or top == -torch.inf:
            return top
        mean = float(torch.logsumexp(self.weights, 0)) - math.log(self.proposals)
        return min(top, mean + 0.5 * math.log(self.proposals))

    def rate(self) -> float:
        """Share of proposals that would be accepted."""
        top = self.top()
        return 0.0 if top == -torch.inf else float(torch.exp((self.weights - top).clamp(max=0.0)).mean())

    def accept(self, generator: Generator) -> Batch:
        """Accept or drop what waits."""
        accepted, top = [], self.top()
        for batch, weight in self.waiting:
            u = torch.rand(len(batch), generator=generator, dtype=torch.float64)
            accepted.append(batch.take((u < torch.exp(weight - top)).nonzero()[:, 0]))
        self.waiting = []
        return concatenate(accepted)


def _propose(
    distribution: Distribution,
    evidence: Batch,
    limits: Sequence[Limit],
    size: int,
    generator: Generator,
    cond: Batch | None,
) -> tuple[Batch, Tensor]:
    repeated = evidence.repeat(size)
    given = None if cond is None else cond.repeat(size)
    return propose(distribution, Batch(repeated.cells, repeated.mask, given), limits, generator)


def propose(
    distribution: Distribution, batch: Batch, limits: Sequence[Limit], generator: Generator
) -> tuple[Batch, Tensor]:
    """`Draws.draw` where the family has it; else unconditional samples that weigh 0 or minus infinity."""
    if isinstance(distribution, Draws):
        return _drawn(distribution, batch, limits, generator)
    made = distribution.sample(len(batch), generator, batch.cond)
    fits = ((made.cells == batch.cells) & made.mask | ~batch.mask).all(1)
    for limit in limits:
        fits &= limit.contains(made.cells[:, limit.column]) | ~made.mask[:, limit.column]
    return made, torch.where(fits, 0.0, -torch.inf).to(torch.float64)


def _drawn(
    distribution: Distribution, batch: Batch, limits: Sequence[Limit], generator: Generator
) -> tuple[Batch, Tensor]:
    cells, mask = batch.cells.clone(), batch.mask.clone()
    weight = torch.zeros(len(batch), dtype=torch.float64)
    for rows, located in inside_cells(distribution, batch, generator, limits):
        made, weight[rows] = cast(Draws, distribution).draw(located, generator, limits)
        cells[rows], mask[rows] = made.cells, made.mask
    return Batch(cells, mask, batch.cond), weight


def split_limits(event: Mixed, limits: Sequence[Limit]) -> tuple[Batch, list[Limit]]:
    """One row of evidence from the limits of a single cell, and the limits that remain for spans that can exist."""
    single = {limit.column: limit.ranges[0][0] for limit in limits if _single(limit)}
    row = unknown(1, event)
    rest = []
    for limit in sorted(limits, key=lambda limit: limit.column):
        parent = event.spans[limit.column].exists
        if parent is not None and parent[0] in single and single[parent[0]] not in parent[1]:
            continue
        certain = parent is None or parent[0] in single
        if _single(limit) and certain:
            row.cells[0, limit.column] = single[limit.column]
            row.mask[0, limit.column] = True
        else:
            rest.append(limit)
    return row, rest


def _single(limit: Limit) -> bool:
    return len(limit.ranges) == 1 and limit.ranges[0][0] == limit.ranges[0][1]


def _too_rare(pool: _Pool, n: int) -> CapabilityError:
    seen = (
        f"none of {pool.proposals:,} trial rows" if pool.rate() == 0 else f"about 1 row in {round(1 / pool.rate()):,}"
    )
    return CapabilityError(
        "The condition must be common enough to be met by drawing.",
        f"where, n={n:,}",
        f"{seen} would be accepted",
        "widen the condition, ask for fewer rows, or fit a family with exact conditionals (mixture, autoregressive)",
    )
