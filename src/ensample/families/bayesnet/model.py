"""A fitted Bayesian network: scores, samples, completes, and shows its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit, Mixed, unknown
from ensample.families.base import Distribution, Guarantee
from ensample.families.bayesnet.network import Network
from ensample.families.graph import Edge, Graph
from ensample.families.mixture.components import Layout

SCORED = 16_384
"""Rows handled at once."""


class BayesianNetwork(Distribution):
    """p(x) = product over columns of P(column | its parents), over given and modelled columns."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "exact"}

    def __init__(self, event: Mixed, given: Mixed | None, network: Network, strengths: tuple[Tensor, ...]) -> None:
        self.event, self.given, self.network, self.strengths = event, given, network, strengths
        self.layout = Layout.of(event, given)

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability of each record's known cells, nats [rows] float64; what is unset is summed out."""
        parts = [self._log_prob(batch.take(slice(at, at + SCORED))) for at in range(0, len(batch), SCORED)]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    def _log_prob(self, batch: Batch) -> Tensor:
        joint = self.layout.join(batch)
        nodes = self.network.nodes
        inside = sum((node.log_inside(joint) for node in nodes[self.network.given :]), torch.zeros(len(joint)))
        return self.network.log_evidence(self._codes(joint), {}) + inside

    def _codes(self, joint: Batch) -> Tensor:
        return torch.stack([node.evidence(joint) for node in self.network.nodes], 1)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records; with `cond` one for each of its rows."""
        return self.draw(unknown(n, self.event, cond), generator)[0]

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unset coordinates; see `Draws.draw`. Exact given all evidence and limits: weights are 0.

        A row that the network holds impossible has weight minus infinity.
        """
        joint = self.layout.join(batch)
        ranges = {limit.column + self.layout.start: limit.ranges for limit in limits}
        cells, mask = joint.cells.clone(), joint.mask.clone()
        states, total = self.network.draw(self._codes(joint), ranges, generator)
        possible = torch.isfinite(total)
        rows = possible.nonzero()[:, 0]
        filled = Batch(cells[rows], mask[rows])
        for j, node in enumerate(self.network.nodes):
            if j >= self.network.given:
                node.fill(filled, states[rows, j], ranges, generator)
        cells[rows], mask[rows] = filled.cells, filled.mask
        weight = torch.where(possible, 0.0, -torch.inf).to(torch.float64)
        return self.layout.part(Batch(cells, mask), batch.cond), weight

    def graph(self) -> Graph:
        """The learned graph: an edge from each parent to its child, with the information that it carries."""
        names = tuple(node.name for node in self.network.nodes)
        edges = [
            Edge(names[parent], names[child], float(strength))
            for child, own in enumerate(self.network.parents)
            for parent, strength in zip(own, self.strengths[child].tolist(), strict=True)
        ]
        return Graph(names, tuple(edges), names[: self.network.given])

    def arrays(self) -> dict[str, Tensor]:
        """Nodes, parents, tables and strengths."""
        state: dict[str, Tensor] = {}
        for j, node in enumerate(self.network.nodes):
            state |= {f"{j}.node.{key}": value for key, value in node.arrays().items()}
            state[f"{j}.parents"] = torch.tensor(self.network.parents[j], dtype=torch.int64)
            state[f"{j}.table"], state[f"{j}.strengths"] = self.network.tables[j], self.strengths[j]
        return state
