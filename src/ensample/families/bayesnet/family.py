"""Bayesian networks: a graph over the columns, learned from pairs (Chow-Liu) or by greedy search, and its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ensample.errors import InputError
from ensample.events import Mixed
from ensample.families.base import Distribution, at_least
from ensample.families.bayesnet.model import BayesianNetwork
from ensample.families.bayesnet.network import Network
from ensample.families.bayesnet.nodes import Node, fit_nodes, shape_of
from ensample.families.bayesnet.scores import SCORES, Families
from ensample.families.bayesnet.structure import Climb, Parents, chow_liu, information
from ensample.families.bayesnet.tables import conditional
from ensample.families.bins import Bins
from ensample.families.independent import part
from ensample.families.mixture.components import Layout
from ensample.kinds.records import Records
from ensample.run import Progress, Run

LOOKED_AT = 50_000
"""Rows that the graph is learned from; tables count all rows."""

BATCH = 65_536
"""Rows counted at once."""


@dataclass(frozen=True)
class BayesNet:
    """p(x) = product over columns of P(column | its parents): a graph of few edges between columns, and tables.

    Numbers are bins; as a parent a column is seen through a few coarse states. The graph is the tree of largest mutual
    information (Chow and Liu 1968), or what greedy search climbs to, an edge added, removed or turned at a time
    (Heckerman, Geiger and Chickering 1995), while exact inference stays cheap. Sparse tables lean on those with fewer
    parents. Every question is answered exactly by variable elimination: any evidence, any limits, any holes.

    Use it where columns are few-valued, where the graph itself is wanted (`model.graph()`), or for exact answers in
    milliseconds. Fine relations between numbers are lost in the coarse states: there other families fit closer.

    Arguments:
        structure: "tree" (each column has one parent at most) or "search".
        score: what the search climbs: "predictive" (each row by all others: fits best), "bic" (Schwarz 1978: fewest
            edges) or "bdeu" (Buntine 1991).
        parents: most parents of a column in the search.
        states: about the most states of a column as a parent.
        bins: most bins of a column.

    Raises:
        InputError: an argument is out of its range.

    Example:
        >>> BayesNet(parents=2)
        BayesNet(structure='search', score='predictive', parents=2, states=16, bins=256)
    """

    structure: Literal["tree", "search"] = "search"
    score: Literal["predictive", "bic", "bdeu"] = "predictive"
    parents: int = 3
    states: int = 16
    bins: int = 256

    name: ClassVar[str] = "bayesnet"
    distribution: ClassVar[type[Distribution]] = BayesianNetwork

    def __post_init__(self) -> None:
        at_least(self, parents=1, states=2, bins=1)
        for option, known in (("structure", LEARNERS), ("score", SCORES)):
            if getattr(self, option) not in known:
                raise InputError(
                    "An option must be one that the family knows.",
                    f"{self.name}, {option}",
                    repr(getattr(self, option)),
                    f"say one of {', '.join(known)}",
                )

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts mixed events in which at most one span hangs on each class."""
        if not isinstance(event, Mixed):
            return "a Bayesian network needs a table of fields"
        for part_ in (event, *(() if given is None else (given,))):
            hung = [span.exists[0] for span in part_.spans if span.exists is not None]
            if len(set(hung)) < len(hung) or any(part_.spans[j].exists is not None for j in hung):
                return "several spans exist only together with one class, which a node of the network cannot hold"
        return None

    def fit(self, records: Records, seed: int, run: Run) -> BayesianNetwork:
        """Bins, graph (from a sample of the rows), tables (from all rows, a batch at a time)."""
        layout = Layout.of(records.event, records.given)
        nodes = fit_nodes(layout.event, records, self.bins, self.states)
        given = sum(node_columns(node)[0] < layout.start for node in nodes)
        run.report(Progress("bins", 0.2))
        sample = records.sample(LOOKED_AT, seed)
        families = _families(nodes, layout, sample, self.score)
        parents = _strongest_first(self._graph(families, nodes, given, run), families)
        run.report(Progress("graph", 0.6))
        tables = _tables(nodes, parents, layout, records)
        strengths = tuple(
            torch.tensor([families.information(j, p, [q for q in own if q != p]) for p in own], dtype=torch.float64)
            for j, own in enumerate(parents)
        )
        network = Network(nodes, tuple(tuple(own) for own in parents), tables, given)
        run.report(Progress("tables", 1.0))
        return BayesianNetwork(records.event, records.given, network, strengths)

    def _graph(self, families: Families, nodes: tuple[Node, ...], given: int, run: Run) -> Parents:
        kept = run.kept("graph")
        if kept is not None:
            parents: Parents = kept[1]["parents"]
            return parents
        strength = information(families)
        climb = Climb(families, tuple(len(node) for node in nodes), given, self.parents)
        parents = LEARNERS[self.structure](climb, strength, run.clock.over)
        run.keep("graph", {}, {"parents": parents})
        return parents

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> BayesianNetwork:
        """Inverse of `BayesianNetwork.arrays`."""
        layout = Layout.of(event, given)
        shapes = shape_of(layout.event)
        nodes, parents, tables, strengths = [], [], [], []
        for j, shape in enumerate(shapes):
            own = part(arrays, str(j))
            classes, numbers = (
                Bins.restore(bins) if (bins := part(own, f"node.{kind}")) else None for kind in ("classes", "numbers")
            )
            nodes.append(Node(*shape, classes, numbers, own["node.view"]))
            parents.append(tuple(own["parents"].tolist()))
            tables.append(own["table"])
            strengths.append(own["strengths"])
        first = sum(node_columns(node)[0] < layout.start for node in nodes)
        return BayesianNetwork(
            event, given, Network(tuple(nodes), tuple(parents), tuple(tables), first), tuple(strengths)
        )


def _tree(climb: Climb, strength: np.ndarray, over: Callable[[], bool]) -> Parents:
    return chow_liu(strength, climb.given)


def _search(climb: Climb, strength: np.ndarray, over: Callable[[], bool]) -> Parents:
    return climb.best(strength, over)


LEARNERS: dict[str, Callable[[Climb, np.ndarray, Callable[[], bool]], Parents]] = {"tree": _tree, "search": _search}
"""Structure learners by their public name."""


def node_columns(node: Node) -> list[int]:
    """Columns of the joint event that a node holds."""
    return [j for j in (node.state, node.number) if j is not None]


def _families(nodes: tuple[Node, ...], layout: Layout, records: Records, score: str) -> Families:
    joint = layout.join(records.batch())
    states = np.empty((len(records), len(nodes)), dtype=np.int64)
    for j, node in enumerate(nodes):
        codes = node.evidence(joint)
        known = codes < len(node)
        states[:, j] = torch.where(known, node.view[torch.where(known, codes, 0)], -1).numpy()
    return Families(states, tuple(node.coarse for node in nodes), SCORES[score])


def _strongest_first(parents: Parents, families: Families) -> Parents:
    """Tables back off from the last parent to the first, so the one that tells most comes first."""
    return [sorted(own, key=lambda p: -families.information(j, p, [])) for j, own in enumerate(parents)]


def _tables(nodes: tuple[Node, ...], parents: Parents, layout: Layout, records: Records) -> tuple[Tensor, ...]:
    shapes = [(*(nodes[p].coarse for p in own), len(nodes[j])) for j, own in enumerate(parents)]
    counts = [torch.zeros(int(np.prod(shape)), dtype=torch.float64) for shape in shapes]
    for batch in records.batches(BATCH):
        joint = layout.join(batch)
        codes = [node.evidence(joint) for node in nodes]
        for j, own in enumerate(parents):
            known = codes[j] < len(nodes[j])
            index = torch.zeros(len(batch), dtype=torch.int64)
            for p in own:
                known &= codes[p] < len(nodes[p])
                index = index * nodes[p].coarse + nodes[p].view[codes[p].clamp(max=len(nodes[p]) - 1)]
            index = index * len(nodes[j]) + codes[j]
            counts[j] += torch.bincount(index[known], minlength=len(counts[j]))
    return tuple(
        conditional(c.reshape(shape), nodes[j].view) for j, (c, shape) in enumerate(zip(counts, shapes, strict=True))
    )
