"""A fitted circuit: scores, samples, completes and expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit, Mixed, unknown
from ensample.families.base import Distribution, Guarantee
from ensample.families.circuit.drawing import complete
from ensample.families.circuit.evidence import Evidence
from ensample.families.circuit.expectations import expected
from ensample.families.circuit.learning import Parameters
from ensample.families.circuit.plan import Plan
from ensample.families.mixture.components import by_pattern
from ensample.families.quadrature import POINTS

CHUNK = 2**22
"""Rows are handled in parts such that the largest matrix of the evidence has about this many numbers."""


class CircuitDistribution(Distribution):
    """p(x) = sum over the latents of a tree of p(h_0) p(x_0 | h_0) prod_v p(h_v | h_parent) p(x_v | h_v), on cells.

    Over given and modelled spans jointly; with given fields, `p(x | given) = p(x, given) / p(given)`.
    """

    measure: ClassVar = "cells"
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "exact"}

    def __init__(self, event: Mixed, given: Mixed | None, plan: Plan, parameters: Parameters) -> None:
        self.event, self.given, self.plan, self.parameters = event, given, plan, parameters
        self.layout = plan.layout

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability [rows] float64 of each record's cell; unset coordinates are summed out."""
        total = self._log_prob(self.layout.join(batch), {})
        if batch.cond is None:
            return total
        given = self.layout.join(batch)
        mask = given.mask.clone()
        mask[:, self.layout.start :] = False
        return total - self._log_prob(Batch(given.cells, mask), {})

    def _log_prob(self, joint: Batch, bounds: dict[int, Limit]) -> Tensor:
        total = torch.zeros(len(joint), dtype=torch.float64)
        for rows in self._chunks(joint, bounds):
            total[rows] = Evidence(self.plan, self.parameters, joint.take(rows), bounds).total
        return total

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records; with `cond` one for each of its rows."""
        return self.draw(unknown(n, self.event, cond), generator)[0]

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unset coordinates; see `Draws.draw`.

        Evidence is exact (weight 0), and so are limits on all columns but those with Gaussian leaves; of these one
        limit is exact. Several are drawn one after the other, each inside its limit; the weight is what the later ones
        had to be cut by.
        """
        joint = self.layout.join(batch)
        bounds = {limit.column + self.layout.start: limit for limit in limits}
        cells, mask = joint.cells.clone(), joint.mask.clone()
        weight = torch.zeros(len(joint), dtype=torch.float64)
        for rows in self._chunks(joint, bounds):
            evidence = Evidence(self.plan, self.parameters, joint.take(rows), bounds)
            cells[rows], mask[rows], weight[rows] = complete(evidence, generator)
        return self.layout.part(Batch(cells, mask), batch.cond), weight

    def log_within(self, batch: Batch, limits: Sequence[Limit]) -> Tensor:
        """Log-probability of the known cells, the given ones, and the limits that `draw` meets without a weight."""
        bounds = {limit.column + self.layout.start: limit for limit in limits}
        return self._log_prob(self.layout.join(batch), bounds)

    def expect(self, batch: Batch, limits: Sequence[Limit] = ()) -> tuple[Tensor, Tensor]:
        """Conditional means (numbers, as cell positions) and most probable classes; see `Expects.expect`.

        Of several limits on numbers with Gaussian leaves the first counts.
        """
        joint = self.layout.join(batch)
        bounds = {limit.column + self.layout.start: limit for limit in limits}
        values, mask = torch.zeros(joint.cells.shape, dtype=torch.float64), joint.mask.clone()
        for rows in self._chunks(joint, bounds):
            values[rows], mask[rows] = expected(Evidence(self.plan, self.parameters, joint.take(rows), bounds))
        return values[:, self.layout.start :], mask[:, self.layout.start :]

    def _chunks(self, joint: Batch, bounds: dict[int, Limit]) -> Iterator[Tensor]:
        """Row numbers of parts with one pattern each."""
        own = self.plan
        widest = max(self.parameters.states(v) for v in range(len(own.nodes)))
        for rows, mask in by_pattern(joint.mask):
            known = sum(bool(mask[j]) for j in own.numbers)
            cost = widest * max(1, sum(j in bounds for j in own.numbers))
            if known or any(j in bounds for j in own.numbers):
                for j in own.context:
                    cost *= 1 if mask[j] else len(own.bins[j])
            yield from torch.split(rows, max(1, CHUNK // (cost * (POINTS * known if known else 1))))

    def arrays(self) -> dict[str, Tensor]:
        """Parameters, bins and warps."""
        return {**self.parameters.arrays(), **self.plan.arrays()}

    def facts(self) -> dict[str, Any]:
        """Columns of the nodes and the tree."""
        return self.plan.facts()
