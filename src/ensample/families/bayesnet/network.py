"""A network of nodes and tables: the probability of evidence, and states drawn given it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from ensample.families.bayesnet.elimination import Eliminated, Factor, choose, eliminate, heaviest
from ensample.families.bayesnet.nodes import Node, Ranges
from ensample.families.bayesnet.structure import ancestors, topological

CELLS = 2**22
"""Rows are handled in parts such that rows x cells of the largest table stays below this."""


@dataclass(frozen=True)
class Network:
    """Nodes (given ones first), the parents of each, and P(state | coarse states of the parents) as tables.

    `tables[j]` is [coarse states of parent 1, ..., of parent m, states of j] float64. The first `given` nodes have no
    parents; their tables serve only where a given field is not known.
    """

    nodes: tuple[Node, ...]
    parents: tuple[tuple[int, ...], ...]
    tables: tuple[Tensor, ...]
    given: int

    @cached_property
    def order(self) -> list[int]:
        """Every node after its parents."""
        return topological([list(own) for own in self.parents])

    @cached_property
    def above(self) -> list[set[int]]:
        """All nodes above each."""
        return ancestors([list(own) for own in self.parents])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Coarse states of each node."""
        return tuple(node.coarse for node in self.nodes)

    @cached_property
    def coarse(self) -> list[Tensor]:
        """P(coarse state | parents) of each node, [1, parents ..., coarse states]."""
        ones = [torch.ones(1, len(node), dtype=torch.float64) for node in self.nodes]
        return [coarse_table(*both) for both in zip(self.tables, self.nodes, ones, strict=True)]

    @cached_property
    def ladders(self) -> list[Tensor]:
        """All rows of each table as one ascending list: context c lies in (c, c + 1]."""
        flat = [table.reshape(-1, table.shape[-1]).cumsum(1) for table in self.tables]
        return [(f / f[:, -1:] + torch.arange(len(f), dtype=torch.float64)[:, None]).flatten() for f in flat]

    def parts(self, codes: Tensor, ranges: Ranges) -> Iterator[Part]:
        """The rows of codes [rows, nodes] in parts that ask the same question, equal rows counted once."""
        size = torch.tensor([len(node) for node in self.nodes])
        limited = torch.tensor([node.limited(ranges) or j < self.given for j, node in enumerate(self.nodes)])
        kind = torch.where(codes < size, 0, torch.where((codes > size) | limited, 1, 2))
        for group, rows in _groups(kind):
            part = Part(self, rows, codes[rows], tuple(group.tolist()), ranges)
            step = max(1, CELLS // part.cells)
            if len(rows) <= step:
                yield part
            else:
                for some in torch.split(rows, step):
                    yield Part(self, some, codes[some], part.kind, ranges)

    def log_evidence(self, codes: Tensor, ranges: Ranges) -> Tensor:
        """Log-probability [rows] of evidence (`Node.evidence` [rows, nodes]) within ranges, given the given nodes."""
        total = torch.zeros(len(codes), dtype=torch.float64)
        for part in self.parts(codes, ranges):
            total[part.rows] = part.solved.log_total[part.inverse]
        return total

    def draw(self, codes: Tensor, ranges: Ranges, generator: Generator) -> tuple[Tensor, Tensor]:
        """States [rows, nodes] given the evidence and within the ranges, and the log-probability [rows] of those."""
        states, total = codes.clone(), torch.zeros(len(codes), dtype=torch.float64)
        for part in self.parts(codes, ranges):
            total[part.rows] = part.solved.log_total[part.inverse]
            step = max(1, CELLS // max(len(node) for node in self.nodes))
            for at in torch.split(torch.arange(len(part.rows)), step):
                states[part.rows[at]] = part.draw(at, generator)
        return states, total


@dataclass(frozen=True)
class Part:
    """Rows of codes [rows, nodes] in which the same nodes are known (kind 0), partly known (1) and unknown (2)."""

    network: Network
    rows: Tensor
    codes: Tensor
    kind: tuple[int, ...]
    ranges: Ranges

    @cached_property
    def relevant(self) -> set[int]:
        """What is not known but matters: partly known nodes, and unknown ones above anything known."""
        evidence = [j for j, kind in enumerate(self.kind) if kind != 2]
        above = set().union(*(self.network.above[j] for j in evidence)) if evidence else set()
        return {j for j, kind in enumerate(self.kind) if kind == 1 or (kind == 2 and j in above)}

    @cached_property
    def involved(self) -> list[int]:
        """Nodes whose tables matter: a known given node has no say in itself."""
        return [j for j, kind in enumerate(self.kind) if j in self.relevant or (kind == 0 and j >= self.network.given)]

    @property
    def cells(self) -> int:
        """Cells of the largest table for one row."""
        return heaviest([set(self.scope(j)) for j in self.involved], self.network.sizes)

    def scope(self, j: int) -> tuple[int, ...]:
        """Variables of the factor of node j."""
        return tuple(p for p in (*self.network.parents[j], j) if self.kind[p] != 0)

    @cached_property
    def _unique(self) -> tuple[Tensor, Tensor]:
        if not self.relevant:
            return self.codes, torch.arange(len(self.codes))
        found: tuple[Tensor, Tensor] = torch.unique(self.codes, dim=0, return_inverse=True)
        return found

    @property
    def inverse(self) -> Tensor:
        """Row of the solution for each row of the part."""
        return self._unique[1]

    @cached_property
    def solved(self) -> Eliminated:
        """All relevant nodes eliminated."""
        return eliminate([self.factor(j) for j in self.involved], len(self._unique[0]), self.network.sizes)

    def factor(self, j: int) -> Factor:
        """P(node j, as far as it is known | parents) for each distinct row."""
        codes, node, scope = self._unique[0], self.network.nodes[j], self.scope(j)
        table = self.network.tables[j]
        index, dimension = [], 1
        for p in self.network.parents[j]:
            if self.kind[p] == 0:
                index.append(_along(self.network.nodes[p].view[codes[:, p]], 0, len(scope)))
            else:
                index.append(_along(torch.arange(self.network.nodes[p].coarse), dimension, len(scope)))
                dimension += 1
        if self.kind[j] == 0:
            return Factor(scope, table[(*index, _along(codes[:, j], 0, len(scope)))])
        distinct, place = torch.unique(codes[:, j], return_inverse=True)
        plain = len(distinct) == 1 and int(distinct[0]) == len(node) and not node.limited(self.ranges)
        seen = self.network.coarse[j] if plain else coarse_table(table, node, node.weights(distinct, self.ranges))
        last = _along(torch.arange(node.coarse), dimension, len(scope))
        values = seen[(_along(place, 0, len(scope)), *index, last)]
        if j < self.network.given:
            values = values / values.sum(1, keepdim=True)
        return Factor(scope, values)

    def draw(self, at: Tensor, generator: Generator) -> Tensor:
        """States [rows, nodes] of these rows of the part."""
        network, codes = self.network, self.codes[at]
        coarse = self.solved.draw(self.inverse[at], generator)
        states = codes.clone()
        for j in network.order:
            node, table = network.nodes[j], network.tables[j]
            if self.kind[j] != 0:
                context = torch.zeros(len(at), dtype=torch.int64)
                for p in network.parents[j]:
                    context = context * network.nodes[p].coarse + coarse[p]
                if j in coarse:
                    distinct, place = torch.unique(codes[:, j], return_inverse=True)
                    share = table.reshape(-1, len(node))[context] * node.weights(distinct, self.ranges)[place]
                    states[:, j] = choose(share * (node.view == coarse[j][:, None]), generator)
                else:
                    u = torch.rand(len(at), generator=generator, dtype=torch.float64) * (1.0 - 1e-12)
                    found = torch.searchsorted(network.ladders[j], u + context, right=True) - context * len(node)
                    states[:, j] = found.clamp(0, len(node) - 1)
            coarse[j] = node.view[states[:, j]]
        return states


def coarse_table(table: Tensor, node: Node, weights: Tensor) -> Tensor:
    """Weighted sums of a table over the states of each coarse state: [weights, parents ..., coarse]."""
    flat = table.reshape(-1, len(node))
    members = [(node.view == z).nonzero()[:, 0] for z in range(node.coarse)]
    parts = [weights[:, inside] @ flat[:, inside].T for inside in members]
    return torch.stack(parts, -1).reshape(len(weights), *table.shape[:-1], node.coarse)


def _along(values: Tensor, dimension: int, others: int) -> Tensor:
    """A vector as an index along one of 1 + `others` dimensions."""
    shape = [1] * (1 + others)
    shape[dimension] = len(values)
    return values.reshape(shape)


def _groups(kind: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Distinct rows, and the row numbers of each."""
    if not len(kind):
        return
    if math.log2(3) * kind.shape[1] <= 62:  # one integer a row sorts much faster
        keys = (kind * 3 ** torch.arange(kind.shape[1])).sum(1)
        group = torch.unique(keys, return_inverse=True)[1]
    else:
        group = torch.unique(kind, dim=0, return_inverse=True)[1]
    order = torch.argsort(group, stable=True)
    for rows in torch.split(order, torch.bincount(group).tolist()):
        yield kind[rows[0]], rows
